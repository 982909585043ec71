// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>ENABLE_IMDS_ONLY_MODE: another system provides the addresses, and the daemon never calls EC2.</summary>
public sealed class MetadataOnlyTests
{
    [Fact]
    public async Task Daemon_without_EC2_serves_the_addresses_of_the_metadata_only()
    {
        await using var node = await NodeLab.StartAsync(new() { ["ENABLE_IMDS_ONLY_MODE"] = "true" }, beforeReady: _ => { });
        var given = node.Lab.World.With(world =>
            world.AssignPrivateIpAddresses(world.Instances.Single().PrimaryInterface, AddressRequest.Any(2))
        );
        await node.Lab.RestartIpamdAsync(NodeLab.Node, TestContext.Current.CancellationToken);

        IPAddress[] served = [(await node.AddAsync("a")).Address, (await node.AddAsync("b")).Address];

        Assert.Equal(given.Addresses.Select(address => address.ToString()).Order(), served.Select(address => address.ToString()).Order());
        Assert.True(await node.PingAsync("a", served[1].ToString()));
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("c"));
        Assert.Equal(11, failure.Code);
        Assert.Contains("DISABLE_NETWORK_RESOURCE_PROVISIONING", failure.Message, StringComparison.Ordinal);
        Assert.Equal(
            ["AssignPrivateIpAddresses"],
            (await node.Lab.StatusAsync(TestContext.Current.CancellationToken)).CloudCalls.Select(call => call.Operation)
        );
    }
}
