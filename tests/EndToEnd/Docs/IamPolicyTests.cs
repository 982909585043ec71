// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.RegularExpressions;
using Amazon.EC2;
using VpcCni.Chart.Tests;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Docs;

/// <summary>Compares the policy in docs/iam-policy.md with the calls in the daemon's source and with those that EC2 received.</summary>
public sealed partial class IamPolicyTests
{
    [Fact]
    public void Policy_allows_exactly_the_calls_in_the_source()
    {
        var sources = Directory
            .EnumerateFiles(Path.Combine(HelmRenderer.Repository, "ipamd", "Clouds", "Aws"), "*.cs", SearchOption.AllDirectories)
            .Select(File.ReadAllText);
        var offered = typeof(IAmazonEC2)
            .GetMethods()
            .Where(method => method.Name.EndsWith("Async", StringComparison.Ordinal))
            .Select(method => method.Name[..^"Async".Length])
            .ToHashSet();
        var called = sources
            .SelectMany(source => Operation().Matches(source))
            .Select(match => match.Groups["name"].Value)
            .Where(offered.Contains)
            .Distinct();
        Assert.Equal(called.Order(StringComparer.Ordinal), Allowed().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Policy_allows_all_calls_of_a_growing_and_shrinking_node()
    {
        await using var node = await NodeLab.StartAsync(
            new()
            {
                ["WARM_IP_TARGET"] = "1",
                ["IP_COOLDOWN_PERIOD"] = "0",
                ["ENABLE_SUBNET_DISCOVERY"] = "true",
            }
        );
        for (var pod = 0; pod < 10; pod++)
            await node.AddAsync($"web-{pod}");
        await Eventually.TrueAsync(
            () => node.Lab.World.With(world => world.Calls.Count("AttachNetworkInterface")) > 0,
            what: "a second interface"
        );
        var seen = node.Lab.World.With(world => world.Calls.Counts.Keys.Select(key => key.Operation).Distinct().ToList());
        Assert.Contains("AssignPrivateIpAddresses", seen);
        Assert.Empty(seen.Except(Allowed()));
    }

    private static List<string> Allowed()
    {
        var block = Documentation.Blocks.Single(block => block is { Page: "docs/iam-policy.md", Info: "json" });
        using var policy = JsonDocument.Parse(block.Text);
        return
        [
            .. policy
                .RootElement.GetProperty("Statement")
                .EnumerateArray()
                .SelectMany(statement => statement.GetProperty("Action").EnumerateArray())
                .Select(action => action.GetString()!["ec2:".Length..]),
        ];
    }

    [GeneratedRegex(@"\b(?<name>[A-Z]\w+)Async\(", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Operation();
}
