// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Netlink.Wire;
using Xunit;

namespace VpcCni.Netlink.Tests.Protocol;

/// <summary>Queries of a scripted kernel.</summary>
public sealed class DumpTests
{
    [Fact]
    public void Dump_ends_with_NLMSG_DONE_in_any_split_into_datagrams()
    {
        var kernel = new ScriptedTransport().Then(sent => [Whole("links", sent[0].Sequence)]);
        Assert.Equal(["lo", "eni0", "br0"], new RouteNetlink(kernel).GetLinks().Select(link => link.Name));
        kernel = new ScriptedTransport().Then(sent => Parts("links", sent[0].Sequence));
        Assert.Equal(["lo", "eni0", "br0"], new RouteNetlink(kernel).GetLinks().Select(link => link.Name));
    }

    [Fact]
    public void Interrupted_dump_is_repeated_and_its_results_are_dropped()
    {
        var kernel = new ScriptedTransport()
            .Then(sent =>
                [ScriptedTransport.Recorded("links", 0, sent[0].Sequence, Nlm.NLM_F_DUMP_INTR), ScriptedTransport.Done(sent[0].Sequence)]
            )
            .Then(sent => [Whole("links", sent[0].Sequence)]);
        Assert.Equal(3, new RouteNetlink(kernel).GetLinks().Count);
        Assert.Equal(2, kernel.Sent.Count);
    }

    [Fact]
    public void Dump_interrupted_in_every_attempt_fails_with_EINTR()
    {
        var kernel = new ScriptedTransport();
        for (int attempt = 0; attempt < RouteNetlink.MaxDumpAttempts; attempt++)
            kernel.Then(sent =>
                [ScriptedTransport.Recorded("links", 0, sent[0].Sequence, Nlm.NLM_F_DUMP_INTR), ScriptedTransport.Done(sent[0].Sequence)]
            );
        var failure = Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).GetLinks());
        Assert.Equal((Errno.EINTR, "ip link show", RouteNetlink.MaxDumpAttempts), (failure.Errno, failure.Operation, kernel.Sent.Count));
    }

    [Fact]
    public void Error_at_the_start_or_the_end_of_a_dump_is_reported()
    {
        var kernel = new ScriptedTransport()
            .Then(sent => [ScriptedTransport.Acknowledge(sent[0].Sequence, 95, "no such thing")])
            .Then(sent => [ScriptedTransport.Recorded("rules", 0, sent[0].Sequence), ScriptedTransport.Done(sent[0].Sequence, 90)]);
        var netlink = new RouteNetlink(kernel);
        var failure = Assert.Throws<NetlinkException>(() => netlink.GetRules(IpFamily.V4));
        Assert.Equal("ip rule show: EOPNOTSUPP: no such thing", failure.Message);
        Assert.Equal(Errno.EMSGSIZE, Assert.Throws<NetlinkException>(() => netlink.GetRules(IpFamily.V4)).Errno);
    }

    [Fact]
    public void Table_that_does_not_exist_is_empty()
    {
        var kernel = new ScriptedTransport().Then(sent => [ScriptedTransport.Recorded("error-table", 0, sent[0].Sequence)]);
        Assert.Empty(new RouteNetlink(kernel).GetRoutes(IpFamily.V4, 99));
    }

    [Fact]
    public void Dump_that_the_kernel_does_not_filter_is_filtered()
    {
        var kernel = new ScriptedTransport()
            .Then(sent => [Whole("routes", sent[0].Sequence)])
            .Then(sent => [Whole("addresses", sent[0].Sequence)]);
        var netlink = new RouteNetlink(kernel);
        Assert.Equal(1000, Assert.Single(netlink.GetRoutes(IpFamily.V4, 1000)).Table);
        Assert.All(netlink.GetAddresses(AddressFamily.Unspecified, 2), address => Assert.Equal(2, address.LinkIndex));
    }

    [Fact]
    public void FindLink_queries_one_link_and_returns_null_if_absent()
    {
        var kernel = new ScriptedTransport()
            .Then(sent => [ScriptedTransport.Recorded("links", 1, sent[0].Sequence)])
            .Then(sent => [ScriptedTransport.Recorded("error-nodev", 0, sent[0].Sequence)])
            .Then(sent => [ScriptedTransport.Acknowledge(sent[0].Sequence, 1)]);
        var netlink = new RouteNetlink(kernel);
        Assert.Equal("eni0", netlink.FindLink("eni0")!.Name);
        Assert.Null(netlink.FindLink(999));
        Assert.Equal(Errno.EPERM, Assert.Throws<NetlinkException>(() => netlink.FindLink(1)).Errno);
    }

    [Fact]
    public void Malformed_answer_is_rejected_and_the_socket_stays_usable()
    {
        var kernel = new ScriptedTransport()
            .Then(sent => [ScriptedTransport.Recorded("links", 0, sent[0].Sequence)[..40], ScriptedTransport.Done(sent[0].Sequence)])
            .Then(sent => [Whole("links", sent[0].Sequence)]);
        var netlink = new RouteNetlink(kernel);
        Assert.Equal(Errno.EBADMSG, Assert.Throws<NetlinkException>(netlink.GetLinks).Errno);
        Assert.Equal(3, netlink.GetLinks().Count);
    }

    private static byte[] Whole(string fixture, uint sequence) => [.. Parts(fixture, sequence).SelectMany(part => (byte[])part)];

    private static IEnumerable<object> Parts(string fixture, uint sequence) =>
        Enumerable.Range(0, Fixture.Load(fixture).Length).Select(index => (object)ScriptedTransport.Recorded(fixture, index, sequence));
}
