// SPDX-License-Identifier: Apache-2.0
using VpcCni.Chart.Tests;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Chart;

/// <summary>
/// Compares the rendered ClusterRole with the calls that the API server received: it permits all of them and nothing else.
/// </summary>
public sealed class RoleTests
{
    public const string User = "system:serviceaccount:kube-system:aws-node";

    [Fact]
    public async Task Role_permits_exactly_the_calls_of_events_and_annotations()
    {
        // One interface with nine addresses and no waiting, so the tenth pod fails and causes an event.
        Dictionary<string, string> environment = new()
        {
            ["ANNOTATE_POD_IP"] = "true",
            ["MAX_ENI"] = "1",
            ["VPCCNI_ADD_WAIT_SECONDS"] = "0",
            ["IP_COOLDOWN_PERIOD"] = "0",
        };
        await using var node = await NodeLab.StartAsync(environment);
        for (var pod = 0; pod < 9; pod++)
            await node.AddAsync($"web-{pod}");
        await Assert.ThrowsAsync<CniException>(() => node.AddAsync("web-9"));
        await Eventually.TrueAsync(() => Seen(node).Contains("events create"), what: "an event");
        await Eventually.TrueAsync(() => Seen(node).Contains("pods patch"), what: "an annotation");
        Check(node, environment);
    }

    [Fact]
    public async Task Role_permits_exactly_the_calls_of_custom_networking()
    {
        Dictionary<string, string> environment = new() { ["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"] = "true" };
        await using var node = await NodeLab.StartAsync(environment, beforeReady: _ => { });
        await Eventually.TrueAsync(
            () => Seen(node).Contains("eniconfigs watch") && Seen(node).Contains("nodes watch"),
            what: "ENIConfigs and the node are watched"
        );
        Check(node, environment);
    }

    private static void Check(NodeLab node, Dictionary<string, string> environment)
    {
        var values = string.Join(", ", environment.Select(item => $"{item.Key}: \"{item.Value}\""));
        var allowed = HelmRenderer.Render(HelmRenderer.WithImage, $"env: {{{values}}}").Single("ClusterRole")["rules"]!
            .AsArray()
            .SelectMany(rule =>
                rule!["resources"]!.AsArray().SelectMany(resource => rule["verbs"]!.AsArray().Select(verb => $"{resource} {verb}"))
            )
            .ToList();
        Assert.Empty(Seen(node).Except(allowed));
        // Calls that this short run does not make: repeated events, queries of missing pods, a lost checkpoint.
        Assert.Empty(allowed.Except(Seen(node)).Except(["events patch", "events create", "pods get", "pods list"]));
    }

    private static IReadOnlyList<string> Seen(NodeLab node) =>
        [
            .. node
                .Lab.Cluster.Plane.Calls.Counts.Where(call => call.User == User)
                .Select(call => $"{call.Resource.Split('.')[0]} {call.Verb}")
                .Distinct(),
        ];
}
