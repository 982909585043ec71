// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

public sealed class NodeSettingsTests
{
    [Theory]
    [InlineData(false, "1")]
    [InlineData(true, "0")]
    public void Parameters_are_set_once_and_not_again(bool earlyDemuxDisabled, string expected)
    {
        Iproute.Need();
        using var ns = NetworkNamespace.CreateAnonymous();
        // A link name with a dot, as of a VLAN.
        ns.Ip("link add eth0.7 type veth peer name p0");
        var settings = new KernelSettings(ns);
        settings.Write("ipv4/conf/eth0.7/rp_filter", "1");
        settings.Write("ipv4/tcp_early_demux", expected == "1" ? "0" : "1");

        var first = NodeSettings.Apply(settings, "eth0.7", earlyDemuxDisabled, ipv6: false);

        Assert.All(first, item => Assert.True(item.Changed));
        Assert.Equal(("2", expected), (settings.Read("ipv4/conf/eth0.7/rp_filter"), settings.Read("ipv4/tcp_early_demux")));
        Assert.All(NodeSettings.Apply(settings, "eth0.7", earlyDemuxDisabled, ipv6: false), item => Assert.False(item.Changed));
    }

    [Fact]
    public void Missing_link_is_named()
    {
        Iproute.Need();
        using var ns = NetworkNamespace.CreateAnonymous();
        Assert.Contains(
            "net.ipv4.conf.eth9.rp_filter",
            Assert
                .Throws<HostNetworkException>(() =>
                    NodeSettings.Apply(new KernelSettings(ns), "eth9", earlyDemuxDisabled: false, ipv6: false)
                )
                .Message,
            StringComparison.Ordinal
        );
    }
}
