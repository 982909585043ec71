// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>A node in a subnet that has fewer addresses than the node could have, with the real binaries.</summary>
public sealed class SmallSubnetTests
{
    [Fact]
    public async Task Pods_added_in_sequence_in_a_27_cause_no_EC2_error()
    {
        await using var node = await NodeLab.StartAsync(change: options => options with { Subnets = [IPNetwork.Parse("10.0.0.0/27")] });
        List<IPAddress> addresses = [];
        for (var pod = 0; pod < 19; pod++)
            addresses.Add((await node.AddAsync($"p{pod}")).Address);
        Assert.Equal(19, addresses.Distinct().Count());
        var calls = (await node.Lab.StatusAsync(TestContext.Current.CancellationToken)).CloudCalls;
        Assert.All(calls, call => Assert.Equal("OK", call.Outcome));
    }
}
