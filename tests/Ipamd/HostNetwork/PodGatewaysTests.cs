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
    public void Link_whose_MAC_changed_before_the_first_look_gets_the_one_that_it_was_made_with()
    {
        _gateways.Reported(Report(RouteChange.Set, Made));
        _gateways.Reported(Report(RouteChange.Set, Foreign));
        Assert.Equal([KeyValuePair.Create(7, Made)], Look(Foreign));
        Assert.Empty(Look(Made));
    }

    [Fact]
    public void Link_that_was_there_before_the_daemon_is_taken_as_it_is()
    {
        Assert.Empty(Look(Foreign));
        Assert.Equal([KeyValuePair.Create(7, Foreign)], Look(Made));
    }

    /// <summary>The kernel may give the number of a link that is gone to another one.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Link_that_takes_the_number_of_another_one_is_not_given_its_MAC(bool isReported)
    {
        _gateways.Reported(Report(RouteChange.Set, Made));
        if (isReported)
            _gateways.Reported(Report(RouteChange.Removed, Made));
        _gateways.BeginSync();
        _gateways.Different([], []);
        Assert.Empty(Look(Foreign));
    }

    /// <summary>The kernel reports a link while its links are read: the dump does not have it yet.</summary>
    [Fact]
    public void Link_that_is_younger_than_the_dump_keeps_the_MAC_that_it_was_made_with()
    {
        _gateways.BeginSync();
        _gateways.Reported(Report(RouteChange.Set, Made));
        _gateways.Different([], []);
        Assert.Equal([KeyValuePair.Create(7, Made)], Look(Foreign));
    }

    private IReadOnlyDictionary<int, MacAddress> Look(MacAddress mac) =>
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
