// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json.Nodes;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>
/// Premises of docs/switch-over.md. Helm adopts an object by a merge that removes nothing that the chart never had; kubectl merges by the
/// same rules, without a server.
/// </summary>
public sealed class SwitchOverTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <summary>The relevant part of the DaemonSet of EKS.</summary>
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

    /// <summary>The reason why the page deletes the DaemonSet first.</summary>
    [Fact]
    public void Daemonset_adopted_in_place_is_invalid_and_keeps_the_agent()
    {
        var spec = Merge(OfEks, Chart.Single("DaemonSet").ToJsonString())["spec"]!["template"]!["spec"]!;
        Assert.Contains("aws-eks-nodeagent", spec["containers"]!.AsArray().Select(container => (string?)container!["name"]));
        var init = Assert.Single(spec["initContainers"]!.AsArray())!["securityContext"]!;
        // The combination is invalid: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
        Assert.True((bool)init["privileged"]! && !(bool)init["allowPrivilegeEscalation"]!, init.ToJsonString());
    }

    [Fact]
    public void Selector_matches_the_pods_that_EKS_left()
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

    /// <summary>The release fails on an object of EKS that is not adopted; only the DaemonSet is deleted instead.</summary>
    [Fact]
    public void Page_adopts_every_object_except_the_daemonset()
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
