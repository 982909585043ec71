// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork;

public sealed class PodGatewaysTests
{
    private static readonly MacAddress Made = MacAddress.Parse("0a:00:00:00:00:01");
    private static readonly MacAddress Foreign = MacAddress.Parse("0a:00:00:00:99:99");

    /// <summary>As in the chart, without CAP_SYS_ADMIN.</summary>
    private readonly PodGateways _gateways = new((_, _) => null);

    [Fact]
    public void Link_whose_MAC_changed_before_the_first_sync_gets_its_first_one()
    {
        _gateways.Reported(Report(RouteChange.Set, Made));
        _gateways.Reported(Report(RouteChange.Set, Foreign));
        Assert.Equal([KeyValuePair.Create(7, Made)], Sync(Foreign));
        Assert.Empty(Sync(Made));
    }

    [Fact]
    public void Link_older_than_the_daemon_keeps_its_MAC()
    {
        Assert.Empty(Sync(Foreign));
        Assert.Equal([KeyValuePair.Create(7, Foreign)], Sync(Made));
    }

    /// <summary>The kernel may reuse the index of a removed link.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Link_with_a_reused_index_does_not_get_the_earlier_MAC(bool isReported)
    {
        _gateways.Reported(Report(RouteChange.Set, Made));
        if (isReported)
            _gateways.Reported(Report(RouteChange.Removed, Made));
        _gateways.BeginSync();
        _gateways.Different([], []);
        Assert.Empty(Sync(Foreign));
    }

    /// <summary>The kernel reports a link while its links are dumped, without it.</summary>
    [Fact]
    public void Link_newer_than_the_dump_keeps_its_first_MAC()
    {
        _gateways.BeginSync();
        _gateways.Reported(Report(RouteChange.Set, Made));
        _gateways.Different([], []);
        Assert.Equal([KeyValuePair.Create(7, Made)], Sync(Foreign));
    }

    private IReadOnlyDictionary<int, MacAddress> Sync(MacAddress mac) =>
        _gateways.Different([(new PodEndpoint("p", IPAddress.Parse("10.0.0.5"), null), Link(mac))], [Link(mac)]);

    private static RouteNotification.LinkChanged Report(RouteChange change, MacAddress mac) => new(change, Link(mac));

    private static LinkInfo Link(MacAddress mac) =>
        new()
        {
            Index = 7,
            Name = "eni7",
            Mac = mac,
            Kind = "veth",
        };
}
