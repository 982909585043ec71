// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>What keeps an address of the host itself from pods.</summary>
public sealed class HostAddressesTests
{
    [Fact]
    public void Addresses_of_the_host_are_told_with_their_links_whatever_their_family_and_length()
    {
        using var host = NetworkNamespace.CreateAnonymous();
        host.Ip("link add eth0 type veth peer name other");
        foreach (var address in new[] { "10.0.0.10/24 dev eth0", "10.0.0.11/32 dev lo", "fd00::5/64 dev eth0" }) host.Ip($"address add {address}");
        using var kernel = new KernelHostNetwork(TimeProvider.System, NullLogger<KernelHostNetwork>.Instance, host);
        Assert.Equal(
            [new LinkAddress("eth0", IPAddress.Parse("10.0.0.10")), new LinkAddress("eth0", IPAddress.Parse("fd00::5")), new LinkAddress("lo", IPAddress.Parse("10.0.0.11"))],
            kernel.HostAddresses().OrderBy(item => item.Link, StringComparer.Ordinal).ThenBy(item => item.Address.ToString(), StringComparer.Ordinal));
    }
}
