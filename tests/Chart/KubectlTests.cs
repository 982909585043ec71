// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json.Nodes;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>
/// kubectl has the types of the API: what it reads into them and writes again lacks every field that they do not have. So a field of ours
/// that it does not give back is misspelt or in the wrong place.
/// </summary>
public sealed class KubectlTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData("")]
    [InlineData("of-aws-vpc-cni.yaml")]
    [InlineData("prefixes.yaml")]
    public void Every_field_of_the_daemonset_is_one_of_the_api(string values) =>
        Check(
            HelmRenderer.Render(values.Length == 0 ? "" : File.ReadAllText(HelmRenderer.ValuesFile(values)), HelmRenderer.WithImage),
            "DaemonSet",
            "image",
            "aws-node=x"
        );

    [Fact]
    public void Every_field_of_the_cleanup_is_one_of_the_api() =>
        Check(HelmRenderer.Render(HelmRenderer.WithImage, "cleanup: {enabled: true}"), "DaemonSet", "image", "done=x");

    [Fact]
    public void Every_field_of_the_binding_is_one_of_the_api() =>
        Check(HelmRenderer.Render(HelmRenderer.WithImage), "ClusterRoleBinding", "subject", "--user=x");

    /// <summary>The check itself: a misspelt field is found.</summary>
    [Fact]
    public void Misspelt_field_is_found()
    {
        var item = HelmRenderer.Render(HelmRenderer.WithImage).Single("DaemonSet").DeepClone().AsObject();
        item["spec"]!["template"]!["spec"]!["hostNetworking"] = true;
        Assert.Equal([".spec.template.spec.hostNetworking"], Lost(item, Typed(item, "image", "aws-node=x"), ""));
    }

    private static void Check(RenderedChart chart, string kind, params string[] set)
    {
        var item = chart.Single(kind);
        Assert.Empty(Lost(item, Typed(item, set), ""));
    }

    /// <summary><c>kubectl set --local</c> reads into the types and asks no server.</summary>
    private static JsonNode Typed(JsonObject item, params string[] set)
    {
        var kubectl = Requirement.NeedProgram("kubectl");
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, item.ToJsonString());
            var outcome = HelmRenderer.Run(
                new ProcessStartInfo(kubectl, ["set", set[0], "--local", "-f", file, .. set[1..], "-o", "json"]),
                Deadline
            );
            Assert.True(outcome.ExitCode == 0, outcome.Errors);
            return JsonNode.Parse(outcome.Output)!;
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Paths of ours that are not in theirs. An empty object or list says nothing, and may be left out.</summary>
    private static IEnumerable<string> Lost(JsonNode? ours, JsonNode? theirs, string path) =>
        ours switch
        {
            null or JsonObject { Count: 0 } or JsonArray { Count: 0 } => [],
            _ when theirs is null => [path],
            JsonObject map => map.SelectMany(item => Lost(item.Value, (theirs as JsonObject)?[item.Key], $"{path}.{item.Key}")),
            JsonArray list => list.SelectMany(
                (item, index) => Lost(item, (theirs as JsonArray)?.ElementAtOrDefault(index), $"{path}[{index}]")
            ),
            _ => [],
        };
}
