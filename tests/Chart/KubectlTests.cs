// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json.Nodes;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>
/// Round trips objects of the chart through kubectl, which has the types of the API and drops fields that they lack. A field that it drops
/// is misspelt or misplaced.
/// </summary>
public sealed class KubectlTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData("")]
    [InlineData("of-aws-vpc-cni.yaml")]
    [InlineData("prefixes.yaml")]
    public void Fields_of_the_daemonset_are_those_of_the_API(string values) =>
        Check(
            HelmRenderer.Render(values.Length == 0 ? "" : File.ReadAllText(HelmRenderer.ValuesFile(values)), HelmRenderer.WithImage),
            "DaemonSet",
            "image",
            "aws-node=x"
        );

    [Fact]
    public void Fields_of_the_cleanup_are_those_of_the_API() =>
        Check(HelmRenderer.Render(HelmRenderer.WithImage, "cleanup: {enabled: true}"), "DaemonSet", "image", "done=x");

    [Fact]
    public void Fields_of_the_binding_are_those_of_the_API() =>
        Check(HelmRenderer.Render(HelmRenderer.WithImage), "ClusterRoleBinding", "subject", "--user=x");

    /// <summary>The check detects a misspelt field.</summary>
    [Fact]
    public void Misspelt_field_is_detected()
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

    /// <summary><c>kubectl set --local</c> parses the object into its type without a server.</summary>
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

    /// <summary>Returns the paths of ours that are missing in theirs. Empty objects and lists may be dropped.</summary>
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
