// SPDX-License-Identifier: Apache-2.0
using FsCheck;
using FsCheck.Fluent;
using VpcCni.Netlink.Wire;
using Xunit;

namespace VpcCni.Netlink.Tests.Wire;

/// <summary>
/// Any octets are either parsed or rejected with <see cref="MalformedMessageException"/>. Spans prevent reads out of bounds.
/// </summary>
public sealed class MalformedInputTests
{
    [Fact]
    public void Truncated_recorded_answers_are_parsed_or_rejected()
    {
        foreach (string name in Fixture.All)
        {
            foreach (byte[] message in Fixture.Load(name))
            {
                for (int length = 1; length < message.Length; length++)
                {
                    // As received: the header has the original length.
                    Assert.Throws<MalformedMessageException>(() => Fixture.ParseAll(message.AsSpan(0, length)));
                    if (length < MessageHeader.Size)
                        continue;
                    // With the header adjusted, the message may end between attributes.
                    byte[] shorter = message[..length];
                    BitConverter.TryWriteBytes(shorter, length);
                    ParseOrReject(shorter);
                }
            }
        }
    }

    [Fact]
    public void Recorded_answers_with_a_wrong_length_are_parsed_or_rejected()
    {
        foreach (string name in Fixture.All)
        {
            foreach (byte[] message in Fixture.Load(name))
            {
                for (int at = MessageHeader.Size; at + 2 <= message.Length; at += 4)
                {
                    foreach (ushort lie in (ushort[])[0, 1, 3, 4, 5, 8, 0x7fff, 0xffff])
                    {
                        byte[] changed = [.. message];
                        BitConverter.TryWriteBytes(changed.AsSpan(at), lie);
                        ParseOrReject(changed);
                    }
                }
            }
        }
    }

    [Fact]
    public void Random_octets_after_a_valid_header_are_parsed_or_rejected()
    {
        ushort[] types =
        [
            Nlm.NLMSG_ERROR,
            Nlm.NLMSG_DONE,
            Rtm.RTM_NEWLINK,
            Rtm.RTM_DELLINK,
            Rtm.RTM_NEWADDR,
            Rtm.RTM_NEWROUTE,
            Rtm.RTM_NEWRULE,
            Rtm.RTM_NEWNEIGH,
        ];
        var messages =
            from type in Gen.Elements(types)
            from flags in Gen.Elements<ushort>(0, Nlm.NLM_F_CAPPED, Nlm.NLM_F_ACK_TLVS, Nlm.NLM_F_ACK_TLVS | Nlm.NLM_F_CAPPED)
            from family in Gen.Elements<byte>(0, 2, 10, 7)
            from attributes in Gen.Elements(true, false)
            from payload in attributes ? SomeAttributes() : Gen.Choose(0, 255).Select(value => (byte)value).ArrayOf()
            select Frame(type, flags, family, payload);
        Prop.ForAll(Arb.From(messages), ParseOrReject)
            .Check(Config.QuickThrowOnFailure.WithQuietOnSuccess(true).WithMaxTest(3000).WithEndSize(200));
    }

    private static void ParseOrReject(byte[] datagram)
    {
        try
        {
            Fixture.ParseAll(datagram);
        }
        catch (MalformedMessageException exception)
        {
            Assert.NotEmpty(exception.Message);
        }
    }

    /// <summary>Generates attributes of valid types and random sizes.</summary>
    private static Gen<byte[]> SomeAttributes()
    {
        var attribute =
            from type in Gen.Choose(0, 40)
            from value in Gen.Choose(0, 255).Select(octet => (byte)octet).ArrayOf()
            select (byte[])
                [
                    .. BitConverter.GetBytes((ushort)(4 + value.Length)),
                    .. BitConverter.GetBytes((ushort)type),
                    .. value,
                    .. new byte[(4 - (value.Length & 3)) & 3],
                ];
        return from header in Gen.Choose(0, 255).Select(octet => (byte)octet).ArrayOf(16)
            from size in Gen.Elements(8, 12, 16)
            from attributes in attribute.ArrayOf()
            select (byte[])[.. header[..size], .. attributes.SelectMany(octets => octets)];
    }

    private static byte[] Frame(ushort type, ushort flags, byte family, byte[] payload)
    {
        if (payload.Length > 0 && type >= Rtm.RTM_NEWLINK)
            payload[0] = family;
        return
        [
            .. BitConverter.GetBytes(MessageHeader.Size + payload.Length),
            .. BitConverter.GetBytes(type),
            .. BitConverter.GetBytes(flags),
            .. new byte[8],
            .. payload,
        ];
    }
}
