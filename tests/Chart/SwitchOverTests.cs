// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json.Nodes;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>
/// What docs/switch-over.md rests on. Helm takes an object over by a merge in which nothing is removed that the chart never had; kubectl
/// merges by the same rules, and needs no server for it.
/// </summary>
public sealed class SwitchOverTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <summary>What matters here of the DaemonSet that EKS installs.</summary>
    private const string OfEks = """
        {
          "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "aws-node", "namespace": "kube-system"},
          "spec": {
            "selector": {"matchLabels": {"k8s-app": "aws-node"}},
            "template": {
              "metadata": {"labels": {"k8s-app": "aws-node", "app.kubernetes.io/name": "aws-node"}},
              "spec": {
                "initContainers": [{"name": "aws-vpc-cni-init", "image": "init", "securityContext": {"privileged": true}}],
                "containers": [
                  {"name": "aws-node", "image": "aws-node", "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}},
                  {"name": "aws-eks-nodeagent", "image": "agent", "securityContext": {"privileged": true}}
                ]
              }
            }
          }
        }
        """;

    private static RenderedChart Chart { get; } = HelmRenderer.Render(HelmRenderer.WithImage, "originalMatchLabels: true");

    /// <summary>Why the page removes the DaemonSet first.</summary>
    [Fact]
    public void Daemonset_taken_over_in_place_would_keep_the_agent_and_be_refused()
    {
        var spec = Merge(OfEks, Chart.Single("DaemonSet").ToJsonString())["spec"]!["template"]!["spec"]!;
        Assert.Contains("aws-eks-nodeagent", spec["containers"]!.AsArray().Select(container => (string?)container!["name"]));
        var init = Assert.Single(spec["initContainers"]!.AsArray())!["securityContext"]!;
        // Both together are invalid: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
        Assert.True((bool)init["privileged"]! && !(bool)init["allowPrivilegeEscalation"]!, init.ToJsonString());
    }

    [Fact]
    public void Selector_adopts_the_pods_that_eks_left()
    {
        var selector = Chart.Single("DaemonSet")["spec"]!["selector"]!["matchLabels"]!.AsObject();
        var left = JsonNode.Parse(OfEks)!["spec"]!["template"]!["metadata"]!["labels"]!;
        Assert.NotEmpty(selector);
        Assert.All(selector, label => Assert.Equal((string?)label.Value, (string?)left[label.Key]));
        Assert.All(
            selector,
            label =>
                Assert.Equal(
                    (string?)label.Value,
                    (string?)Chart.Single("DaemonSet")["spec"]!["template"]!["metadata"]!["labels"]![label.Key]
                )
        );
    }

    /// <summary>
    /// An object of the chart that EKS has, too, is handed over, or the release fails on it; the DaemonSet alone is removed.
    /// </summary>
    [Fact]
    public void Page_hands_over_every_object_but_the_daemonset()
    {
        var page = File.ReadAllText(Path.Combine(HelmRenderer.Repository, "docs", "switch-over.md"));
        var objects = Chart
            .Objects.Where(item => (string?)item["kind"] is not ("CustomResourceDefinition" or "DaemonSet"))
            .Select(item => (Kind: ((string)item["kind"]!).ToLowerInvariant(), Name: (string)item["metadata"]!["name"]!))
            .ToList();
        foreach (var verb in (string[])["annotate", "label"])
        {
            var handed = page.Split('\n', StringSplitOptions.TrimEntries)
                .Where(line => line.StartsWith($"kubectl --namespace kube-system {verb} --overwrite ", StringComparison.Ordinal))
                .Select(line => line.Split(' '))
                .SelectMany(words => words[5].Split(',').Select(kind => (kind, words[6])));
            Assert.Equal(objects.Order(), handed.Order());
        }

        Assert.Contains("kubectl --namespace kube-system delete daemonset aws-node --cascade=orphan\n", page, StringComparison.Ordinal);
    }

    private static JsonNode Merge(string live, string patch)
    {
        var kubectl = Requirement.NeedProgram("kubectl");
        var folder = Directory.CreateTempSubdirectory("vpc-cni-merge");
        try
        {
            var (liveFile, patchFile) = (Path.Combine(folder.FullName, "live.json"), Path.Combine(folder.FullName, "patch.json"));
            File.WriteAllText(liveFile, live);
            File.WriteAllText(patchFile, patch);
            var outcome = HelmRenderer.Run(
                new ProcessStartInfo(
                    kubectl,
                    ["patch", "--local", "-f", liveFile, "--type", "strategic", "--patch-file", patchFile, "-o", "json"]
                ),
                Deadline
            );
            Assert.True(outcome.ExitCode == 0, outcome.Errors);
            return JsonNode.Parse(outcome.Output)!;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
