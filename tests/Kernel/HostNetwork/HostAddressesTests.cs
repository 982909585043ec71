// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Kernel.Tests.Netlink;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>Addresses of the host and of other programs that pods must not get.</summary>
public sealed class HostAddressesTests
{
    [Fact]
    public void Host_addresses_of_either_family_and_any_length_have_their_link()
    {
        using var host = NetworkNamespace.CreateAnonymous();
        host.Ip("link add eth0 type veth peer name other");
        foreach (var address in new[] { "10.0.0.10/24 dev eth0", "10.0.0.11/32 dev lo", "fd00::5/64 dev eth0" })
            host.Ip($"address add {address}");
        using var kernel = new KernelHostNetwork(
            new RtnetlinkKernel(host),
            "eni",
            TimeProvider.System,
            NullLogger<KernelHostNetwork>.Instance
        );
        Assert.Equal(
            [
                new LinkAddress("eth0", IPAddress.Parse("10.0.0.10")),
                new LinkAddress("eth0", IPAddress.Parse("fd00::5")),
                new LinkAddress("lo", IPAddress.Parse("10.0.0.11")),
            ],
            kernel
                .HostAddresses()
                .OrderBy(item => item.Link, StringComparer.Ordinal)
                .ThenBy(item => item.Address.ToString(), StringComparer.Ordinal)
        );
    }

    [Fact]
    public void Only_a_veth_with_our_name_and_a_peer_in_another_namespace_is_a_pods()
    {
        using var host = NetworkNamespace.CreateAnonymous();
        using var pod = NetworkNamespace.CreateAnonymous();
        string inside = $"/proc/{Environment.ProcessId}/fd/{pod.Handle.DangerousGetHandle()}";
        host.IpBatch(
            "",
            [
                $"link add eni0123456789a type veth peer name a netns {inside}",
                "link add cilium_host type veth peer name cilium_net",
                "link add eni0123456789b type veth peer name b",
                $"link add lxc0123456789a type veth peer name c netns {inside}",
                "link add ens6 type bridge",
            ]
        );
        string[] links = ["eni0123456789a", "cilium_host", "eni0123456789b", "lxc0123456789a", "ens6"];
        foreach (var (link, number) in links.Select((link, number) => (link, number)))
            host.IpBatch("", [$"link set {link} up", $"route add 10.0.0.{number}/32 dev {link}"]);
        using var kernel = new KernelHostNetwork(
            new RtnetlinkKernel(host),
            "eni",
            TimeProvider.System,
            NullLogger<KernelHostNetwork>.Instance
        );
        var routes = kernel
            .PodRoutes()
            .Where(route => route.Address.ToString().StartsWith("10.0.0.", StringComparison.Ordinal))
            .ToDictionary(route => route.HostInterface, route => route.Foreign);
        Assert.Equal(links.Order(StringComparer.Ordinal), routes.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(["eni0123456789a"], routes.Where(route => route.Value is null).Select(route => route.Key));
        Assert.Equal(("its peer is in no other network namespace", "it is not a veth"), (routes["eni0123456789b"], routes["ens6"]));
    }
}
