// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Datapath.Tests;

public sealed class NodeLocalAddressesTests
{
    private static readonly PodLinkKey Pod = new("default", "sample-pod", "c1", "eth0");

    [Theory]
    [InlineData(IpFamily.V4, "169.254.172.0/22", "169.254.172.2", "169.254.175.254")]
    [InlineData(IpFamily.V6, "fd00::ac:0/118", "fd00::ac:2", "fd00::ac:3fe")]
    public void Candidates_are_the_whole_range_once(AddressFamily family, string range, string first, string last)
    {
        var all = NodeLocalAddresses.Candidates(family, Pod).ToList();

        Assert.Equal(IPNetwork.Parse(range), NodeLocalAddresses.Range(family));
        Assert.Equal((1021, 1021), (all.Count, all.Distinct().Count()));
        Assert.All(all, address => Assert.True(NodeLocalAddresses.Contains(address)));
        Assert.Contains(IPAddress.Parse(first), all);
        Assert.Contains(IPAddress.Parse(last), all);
    }

    [Fact]
    public void Candidates_start_at_an_address_that_depends_on_the_pod()
    {
        var first = NodeLocalAddresses.Candidates(IpFamily.V4, Pod).First();

        Assert.Equal(first, NodeLocalAddresses.Candidates(IpFamily.V4, Pod with { ContainerId = "c2" }).First());
        Assert.NotEqual(first, NodeLocalAddresses.Candidates(IpFamily.V4, Pod with { Name = "another-pod" }).First());
    }

    [Theory]
    [InlineData("169.254.171.255", false)]
    [InlineData("169.254.172.0", true)]
    [InlineData("169.254.175.255", true)]
    [InlineData("169.254.176.0", false)]
    [InlineData("fd00::ac:0", true)]
    [InlineData("fd00::ac:3ff", true)]
    [InlineData("fd00::ac:400", false)]
    public void Range_has_both_ends(string address, bool expected) =>
        Assert.Equal(expected, NodeLocalAddresses.Contains(IPAddress.Parse(address)));

    [Theory]
    [InlineData(null, "10.0.0.1", "2001:db8::1")]
    [InlineData(IpFamily.V4, "2001:db8::1")]
    [InlineData(IpFamily.V6, "10.0.0.1")]
    public void Missing_family_is_that_of_no_address(AddressFamily? expected, params string[] addresses) =>
        Assert.Equal(expected, NodeLocalAddresses.MissingFamily([.. addresses.Select(IPAddress.Parse)]));
}
