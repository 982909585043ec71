// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>Several sockets add and delete links while others dump them.</summary>
public sealed class StressTests
{
    private const int Writers = 4;
    private const int PairsPerWriter = 50;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(25);

    [Fact]
    public async Task Dumps_are_consistent_while_two_hundred_veth_pairs_are_changed()
    {
        Iproute.Need();
        using var node = NetworkNamespace.CreateAnonymous();
        using var pods = NetworkNamespace.CreateAnonymous();
        using var done = new CancellationTokenSource();
        var readers = Enumerable
            .Range(0, 2)
            .Select(_ => Task.Factory.StartNew(() => ReadUntil(node, done.Token), TaskCreationOptions.LongRunning))
            .ToArray();
        var writers = Enumerable
            .Range(0, Writers)
            .Select(writer => Task.Factory.StartNew(() => AddAndDelete(node, pods, writer), TaskCreationOptions.LongRunning))
            .ToArray();
        try
        {
            await Task.WhenAll(writers).WaitAsync(Deadline);
        }
        finally
        {
            await done.CancelAsync();
        }

        int[] dumps = await Task.WhenAll(readers).WaitAsync(Deadline);
        Assert.All(dumps, count => Assert.True(count > 0));
        using var netlink = node.OpenRouteNetlink();
        Assert.Equal(["lo"], netlink.GetLinks().Select(link => link.Name));
        Assert.Equal(["lo"], pods.IpJson("link show").Select(link => link!.Text("ifname")));
    }

    private static void AddAndDelete(NetworkNamespace node, NetworkNamespace pods, int writer)
    {
        using var netlink = node.OpenRouteNetlink();
        string[] names = [.. Enumerable.Range(0, PairsPerWriter).Select(number => $"v{writer}-{number}")];
        foreach (string name in names)
        {
            netlink.Execute([
                LinkRequests.CreateVeth(
                    new VethSpec
                    {
                        Name = name,
                        Mtu = 9001,
                        Up = true,
                        PeerName = name,
                        PeerNamespace = pods,
                    }
                ),
            ]);
            var link = netlink.FindLink(name);
            Assert.True(link is { IsUp: true, Mtu: 9001, Kind: "veth" }, link?.ToString() ?? "not found");
        }

        netlink.Execute([.. names.Select(LinkRequests.Delete)]);
        Assert.All(names, name => Assert.Null(netlink.FindLink(name)));
    }

    private static int ReadUntil(NetworkNamespace node, CancellationToken stop)
    {
        using var netlink = node.OpenRouteNetlink();
        int dumps = 0;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                // Results of interrupted dumps are dropped, so no link appears twice.
                var links = netlink.GetLinks();
                Assert.Equal(links.Count, links.Select(link => link.Index).Distinct().Count());
                netlink.GetAddresses(IpFamily.V6);
                netlink.GetRoutes(IpFamily.V6);
                dumps++;
            }
            catch (NetlinkException exception) when (exception.Errno == Errno.EINTR)
            {
                // Every attempt may be interrupted while four sockets do nothing but change links.
            }
        }

        return dumps;
    }
}
