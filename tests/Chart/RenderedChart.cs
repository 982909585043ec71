// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json.Nodes;
using Xunit;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace VpcCni.Chart.Tests;

/// <summary>Objects of a rendering as JSON. The parser is not that of the renderer and rejects duplicate keys.</summary>
internal sealed record RenderedChart(IReadOnlyList<JsonObject> Objects)
{
    public static RenderedChart Parse(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return new RenderedChart([.. stream.Documents.Select(document => Convert(document.RootNode)).OfType<JsonObject>()]);
    }

    public JsonObject Single(string kind) => Assert.Single(Objects, item => (string?)item["kind"] == kind);

    public IEnumerable<string> Names => Objects.Select(item => $"{item["kind"]} {item["metadata"]!["name"]}");

    public JsonObject PodSpec => (JsonObject)Single("DaemonSet")["spec"]!["template"]!["spec"]!;

    public JsonObject Daemon => (JsonObject)Assert.Single(PodSpec["containers"]!.AsArray())!;

    public JsonObject Init => (JsonObject)Assert.Single(PodSpec["initContainers"]!.AsArray())!;

    /// <summary>Returns the variables with a value; those with a field reference have none.</summary>
    public static Dictionary<string, string> Environment(JsonObject container) =>
        container["env"]!
            .AsArray()
            .Where(item => item!["value"] is not null)
            .ToDictionary(item => (string)item!["name"]!, item => (string)item!["value"]!);

    /// <summary>Converts plain scalars by YAML's core schema, https://yaml.org/spec/1.2.2/#103-core-schema; all others are text.</summary>
    private static JsonNode? Convert(YamlNode node) =>
        node switch
        {
            YamlMappingNode map => new JsonObject(
                map.Children.Select(item => KeyValuePair.Create(((YamlScalarNode)item.Key).Value!, Convert(item.Value)))
            ),
            YamlSequenceNode list => new JsonArray([.. list.Children.Select(Convert)]),
            YamlScalarNode { Style: ScalarStyle.Plain } plain => plain.Value switch
            {
                null or "" or "~" or "null" => null,
                "true" => JsonValue.Create(true),
                "false" => JsonValue.Create(false),
                var text when int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) =>
                    JsonValue.Create(number),
                var text => JsonValue.Create(text),
            },
            YamlScalarNode scalar => JsonValue.Create(scalar.Value),
            _ => throw new InvalidOperationException($"unexpected YAML node {node.NodeType}"),
        };
}
