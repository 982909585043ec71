// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Wire;
using Xunit;

namespace VpcCni.Netlink.Tests.Protocol;

/// <summary>Batches against a scripted kernel: the datagrams sent, the answers accepted, the failures reported.</summary>
public sealed class ExecuteTests
{
    private static readonly NetlinkRequest[] Three =
    [
        LinkRequests.SetUp(1, true),
        LinkRequests.SetMtu(2, 9001),
        LinkRequests.Delete("eni0"),
    ];

    [Fact]
    public void Batch_is_one_send_with_a_sequence_number_per_request()
    {
        var kernel = new ScriptedTransport().ThenAcknowledge();
        new RouteNetlink(kernel).Execute(Three);
        var headers = Headers(Assert.Single(kernel.Sent));
        Assert.Equal([Rtm.RTM_NEWLINK, Rtm.RTM_NEWLINK, Rtm.RTM_DELLINK], headers.Select(header => header.Type));
        Assert.Equal([1u, 2u, 3u], headers.Select(header => header.Sequence));
        Assert.All(headers, header => Assert.Equal(Nlm.NLM_F_REQUEST | Nlm.NLM_F_ACK, header.Flags));
    }

    [Fact]
    public void Batch_reports_every_failure_and_is_named_after_the_first()
    {
        var kernel = new ScriptedTransport().Then(sent =>
            [
                ScriptedTransport.Acknowledge(sent[0].Sequence, 0),
                ScriptedTransport.Acknowledge(sent[1].Sequence, 22, "Invalid MTU requested, hw max"),
                ScriptedTransport.Acknowledge(sent[2].Sequence, 19),
            ]
        );
        var failure = Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three));
        Assert.Equal(
            [
                new NetlinkFailure(1, "ip link set if2 mtu 9001", Errno.EINVAL, "Invalid MTU requested, hw max"),
                new NetlinkFailure(2, "ip link delete eni0", Errno.ENODEV, null),
            ],
            failure.Failures
        );
        Assert.Equal((Errno.EINVAL, 1, "Invalid MTU requested, hw max"), (failure.Errno, failure.Succeeded, failure.ExtendedMessage));
        Assert.Equal(
            "ip link set if2 mtu 9001: EINVAL: Invalid MTU requested, hw max (request 2 of 3; 1 succeeded, 1 more failed)",
            failure.Message
        );
    }

    [Fact]
    public void Tolerated_error_counts_as_success()
    {
        var kernel = new ScriptedTransport().ThenAcknowledge(0, 0, 19).ThenAcknowledge(19);
        var netlink = new RouteNetlink(kernel);
        netlink.Execute([Three[0], Three[1], Three[2].Tolerating(Errno.ENODEV)]);
        Assert.Throws<NetlinkException>(() => netlink.Execute(Three[2]));
    }

    [Fact]
    public void Empty_batch_sends_nothing()
    {
        var kernel = new ScriptedTransport();
        new RouteNetlink(kernel).Execute([]);
        Assert.Empty(kernel.Sent);
    }

    [Fact]
    public void Long_batch_is_split_and_failures_keep_their_index()
    {
        var kernel = new ScriptedTransport().ThenAcknowledge().ThenAcknowledge([.. Enumerable.Repeat(0, 70), 17]).ThenAcknowledge();
        var requests = Enumerable.Range(1, 300).Select(index => LinkRequests.SetUp(index, true)).ToArray();
        var failure = Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(requests));
        Assert.Equal([128, 128, 44], kernel.Sent.Select(datagram => Headers(datagram).Length));
        Assert.Equal((198, "ip link set if199 up"), (Assert.Single(failure.Failures).Index, failure.Operation));
        Assert.Equal(299, failure.Succeeded);
    }

    [Fact]
    public void Datagrams_of_other_processes_are_ignored()
    {
        var kernel = new ScriptedTransport().Then(sent =>
            [(ScriptedTransport.Acknowledge(sent[0].Sequence, 1), 999u), ScriptedTransport.Acknowledge(sent[0].Sequence, 0)]
        );
        new RouteNetlink(kernel).Execute(Three[0]);
    }

    [Fact]
    public void Acknowledgements_of_other_sequences_and_ports_are_skipped()
    {
        var kernel = new ScriptedTransport().Then(sent =>
            [
                ScriptedTransport.Acknowledge(sent[0].Sequence - 1, 1),
                ScriptedTransport.Acknowledge(sent[0].Sequence + 1, 1),
                ScriptedTransport.Acknowledge(sent[0].Sequence, 1, port: 12),
                ScriptedTransport.Acknowledge(sent[0].Sequence, 0),
            ]
        );
        new RouteNetlink(kernel).Execute(Three[0]);
    }

    [Fact]
    public void Too_many_unsolicited_messages_are_an_error()
    {
        var kernel = new ScriptedTransport().Then(sent =>
            Enumerable.Repeat<object>(ScriptedTransport.Acknowledge(sent[0].Sequence + 7, 0), 5000)
        );
        Assert.Equal(Errno.EBADMSG, Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three[0])).Errno);
    }

    [Fact]
    public void Missing_answer_is_a_timeout_that_names_the_request()
    {
        var kernel = new ScriptedTransport().Then(sent => [ScriptedTransport.Acknowledge(sent[0].Sequence, 0)]);
        var failure = Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three));
        Assert.Equal((Errno.ETIMEDOUT, "ip link set if2 mtu 9001"), (failure.Errno, failure.Operation));
    }

    [Fact]
    public void Late_answers_to_an_abandoned_call_do_not_affect_the_next()
    {
        var lost = new NetlinkException("netlink receive", Errno.ENOBUFS, null);
        var kernel = new ScriptedTransport()
            .Then(sent => [lost, ScriptedTransport.Acknowledge(sent[0].Sequence, 1), ScriptedTransport.Acknowledge(sent[1].Sequence, 1)])
            .ThenAcknowledge();
        var netlink = new RouteNetlink(kernel);
        Assert.Equal(Errno.ENOBUFS, Assert.Throws<NetlinkException>(() => netlink.Execute([Three[0], Three[1]])).Errno);
        netlink.Execute(Three[0]);
    }

    [Fact]
    public void Answers_to_an_abandoned_call_are_read_before_the_next()
    {
        var lost = new NetlinkException("netlink receive", Errno.ENOBUFS, null);
        var kernel = new ScriptedTransport()
            .Then(sent => [new byte[70_000], lost, ScriptedTransport.Acknowledge(sent[0].Sequence, 0), lost])
            .ThenAcknowledge();
        var netlink = new RouteNetlink(kernel);
        Assert.Equal(Errno.EBADMSG, Assert.Throws<NetlinkException>(() => netlink.Execute(Three[0])).Errno);
        netlink.Execute(Three[0]);
    }

    [Fact]
    public void Truncated_datagram_is_rejected()
    {
        var kernel = new ScriptedTransport().Then(_ => [new byte[70_000]]);
        Assert.Equal(Errno.EBADMSG, Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three[0])).Errno);
    }

    [Fact]
    public void Acknowledgements_out_of_order_are_rejected()
    {
        var kernel = new ScriptedTransport().Then(sent =>
            [ScriptedTransport.Acknowledge(sent[1].Sequence, 0), ScriptedTransport.Acknowledge(sent[0].Sequence, 0)]
        );
        Assert.Equal(Errno.EBADMSG, Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three)).Errno);
    }

    [Fact]
    public void PeerUp_is_executed_between_the_creation_and_later_requests()
    {
        var kernel = new ScriptedTransport().ThenAcknowledge().ThenAcknowledge().ThenAcknowledge();
        new RouteNetlink(kernel).Execute([
            Three[0],
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "a",
                    PeerName = "b",
                    PeerUp = true,
                }
            ),
            Three[1],
        ]);
        Assert.Equal([2, 1, 1], kernel.Sent.Select(datagram => Headers(datagram).Length));
        Assert.Equal(LinkMessage.SetUp("b", up: true)[MessageHeader.Size..], kernel.Sent[1][MessageHeader.Size..]);
    }

    [Fact]
    public void PeerUp_is_skipped_after_a_failed_creation_and_reports_its_own_failure()
    {
        var spec = LinkRequests.CreateVeth(
            new VethSpec
            {
                Name = "a",
                PeerName = "b",
                PeerUp = true,
            }
        );
        var rejected = new ScriptedTransport().ThenAcknowledge(17);
        Assert.Equal(Errno.EEXIST, Assert.Throws<NetlinkException>(() => new RouteNetlink(rejected).Execute(spec)).Errno);
        Assert.Single(rejected.Sent);
        var half = new ScriptedTransport().ThenAcknowledge().ThenAcknowledge(19);
        var failure = Assert.Throws<NetlinkException>(() => new RouteNetlink(half).Execute(spec));
        Assert.Equal("ip link add a type veth peer name b; ip link set b up: ENODEV", failure.Message);
    }

    [Fact]
    public void Dispose_closes_the_socket()
    {
        var kernel = new ScriptedTransport();
        new RouteNetlink(kernel).Dispose();
        Assert.True(kernel.Disposed);
    }

    private static MessageHeader[] Headers(byte[] datagram)
    {
        var headers = new List<MessageHeader>();
        var reader = new MessageReader(datagram);
        while (reader.TryRead(out var message))
            headers.Add(message.Header);
        return [.. headers];
    }
}
