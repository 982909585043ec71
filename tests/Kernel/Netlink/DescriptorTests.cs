// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>Disables parallel tests, because this class counts the descriptors of the process.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "alone";
}

[Collection(AloneCollection.Name)]
public sealed class DescriptorTests
{
    [Fact]
    public void Namespaces_sockets_and_monitors_leak_no_descriptor_and_no_thread()
    {
        Iproute.Need();
        Once();
        var (descriptors, threads) = Count();
        for (int run = 0; run < 100; run++)
            Once();
        var (descriptorsAfter, threadsAfter) = Count();
        // The runtime opens and starts a few of its own in the meantime; a leak would be hundreds.
        Assert.True(descriptorsAfter < descriptors + 20, $"descriptors: {descriptors}, then {descriptorsAfter}");
        Assert.True(threadsAfter < threads + 20, $"threads: {threads}, then {threadsAfter}");
    }

    private static void Once()
    {
        using var ns = NetworkNamespace.CreateAnonymous();
        using var netlink = ns.OpenRouteNetlink();
        using var socket = ns.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var monitor = RouteMonitor.Start(ns, RouteMonitorGroups.Links, _ => { }, _ => { });
        netlink.Execute(LinkRequests.SetUp("lo", true));
        Assert.Throws<NetworkNamespaceException>(() => NetworkNamespace.Open("/etc/hostname"));
        Assert.Throws<NetlinkException>(() => netlink.Execute(LinkRequests.Delete("none")));
        Assert.Throws<InvalidDataException>(() => ns.Run(() => throw new InvalidDataException()));
    }

    private static (int Descriptors, int Threads) Count() =>
        (Directory.GetFiles("/proc/self/fd").Length, Directory.GetDirectories("/proc/self/task").Length);
}
