// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink.Wire;
using Xunit;

namespace VpcCni.Netlink.Tests.Protocol;

/// <summary>Batches against a scripted kernel: what is sent, what is believed, what is reported.</summary>
public sealed class ExecuteTests
{
    private static readonly NetlinkRequest[] Three =
    [
        LinkRequests.SetUp(1, true),
        LinkRequests.SetMtu(2, 9001),
        LinkRequests.Delete("eni0"),
    ];

    [Fact]
    public void Requests_that_belong_together_travel_in_one_send_with_a_sequence_number_each()
    {
        var kernel = new ScriptedTransport().ThenAcknowledge();
        new RouteNetlink(kernel).Execute(Three);
        var headers = Headers(Assert.Single(kernel.Sent));
        Assert.Equal([Rtm.RTM_NEWLINK, Rtm.RTM_NEWLINK, Rtm.RTM_DELLINK], headers.Select(header => header.Type));
        Assert.Equal([1u, 2u, 3u], headers.Select(header => header.Sequence));
        Assert.All(headers, header => Assert.Equal(Nlm.NLM_F_REQUEST | Nlm.NLM_F_ACK, header.Flags));
    }

    [Fact]
    public void Every_failure_of_a_batch_is_reported_and_the_first_names_it()
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
    public void Tolerated_errors_count_as_success()
    {
        var kernel = new ScriptedTransport().ThenAcknowledge(0, 0, 19).ThenAcknowledge(19);
        var netlink = new RouteNetlink(kernel);
        netlink.Execute([Three[0], Three[1], Three[2].Tolerating(Errno.ENODEV)]);
        Assert.Throws<NetlinkException>(() => netlink.Execute(Three[2]));
    }

    [Fact]
    public void An_empty_batch_sends_nothing()
    {
        var kernel = new ScriptedTransport();
        new RouteNetlink(kernel).Execute([]);
        Assert.Empty(kernel.Sent);
    }

    [Fact]
    public void A_long_batch_is_split_and_failures_keep_their_place()
    {
        var kernel = new ScriptedTransport().ThenAcknowledge().ThenAcknowledge([.. Enumerable.Repeat(0, 70), 17]).ThenAcknowledge();
        var requests = Enumerable.Range(1, 300).Select(index => LinkRequests.SetUp(index, true)).ToArray();
        var failure = Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(requests));
        Assert.Equal([128, 128, 44], kernel.Sent.Select(datagram => Headers(datagram).Length));
        Assert.Equal((198, "ip link set if199 up"), (Assert.Single(failure.Failures).Index, failure.Operation));
        Assert.Equal(299, failure.Succeeded);
    }

    [Fact]
    public void Nothing_that_another_process_sends_is_believed()
    {
        var kernel = new ScriptedTransport().Then(sent =>
            [(ScriptedTransport.Acknowledge(sent[0].Sequence, 1), 999u), ScriptedTransport.Acknowledge(sent[0].Sequence, 0)]
        );
        new RouteNetlink(kernel).Execute(Three[0]);
    }

    [Fact]
    public void Acknowledgements_of_other_sequence_numbers_and_ports_are_skipped()
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
    public void A_flood_of_stray_messages_ends_in_an_error()
    {
        var kernel = new ScriptedTransport().Then(sent =>
            Enumerable.Repeat<object>(ScriptedTransport.Acknowledge(sent[0].Sequence + 7, 0), 5000)
        );
        Assert.Equal(Errno.EBADMSG, Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three[0])).Errno);
    }

    [Fact]
    public void No_answer_is_a_timeout_that_names_the_request_in_doubt()
    {
        var kernel = new ScriptedTransport().Then(sent => [ScriptedTransport.Acknowledge(sent[0].Sequence, 0)]);
        var failure = Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three));
        Assert.Equal((Errno.ETIMEDOUT, "ip link set if2 mtu 9001"), (failure.Errno, failure.Operation));
    }

    [Fact]
    public void Late_answers_to_a_call_that_was_given_up_do_not_disturb_the_next()
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
    public void What_is_left_of_a_call_that_was_given_up_is_read_before_the_next()
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
    public void A_datagram_that_was_cut_off_is_refused()
    {
        var kernel = new ScriptedTransport().Then(_ => [new byte[70_000]]);
        Assert.Equal(Errno.EBADMSG, Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three[0])).Errno);
    }

    [Fact]
    public void Acknowledgements_out_of_order_are_refused()
    {
        var kernel = new ScriptedTransport().Then(sent =>
            [ScriptedTransport.Acknowledge(sent[1].Sequence, 0), ScriptedTransport.Acknowledge(sent[0].Sequence, 0)]
        );
        Assert.Equal(Errno.EBADMSG, Assert.Throws<NetlinkException>(() => new RouteNetlink(kernel).Execute(Three)).Errno);
    }

    [Fact]
    public void A_peer_that_has_to_be_up_is_set_up_between_its_creation_and_the_rest()
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
    public void A_peer_that_was_not_made_is_not_set_up_and_one_that_cannot_be_is_reported()
    {
        var spec = LinkRequests.CreateVeth(
            new VethSpec
            {
                Name = "a",
                PeerName = "b",
                PeerUp = true,
            }
        );
        var refused = new ScriptedTransport().ThenAcknowledge(17);
        Assert.Equal(Errno.EEXIST, Assert.Throws<NetlinkException>(() => new RouteNetlink(refused).Execute(spec)).Errno);
        Assert.Single(refused.Sent);
        var half = new ScriptedTransport().ThenAcknowledge().ThenAcknowledge(19);
        var failure = Assert.Throws<NetlinkException>(() => new RouteNetlink(half).Execute(spec));
        Assert.Equal("ip link add a type veth peer name b; ip link set b up: ENODEV", failure.Message);
    }

    [Fact]
    public void Disposing_closes_the_socket()
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
