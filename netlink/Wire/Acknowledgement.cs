// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace VpcCni.Netlink.Wire;

/// <summary>The outcome of a request: NLMSG_ERROR, or NLMSG_DONE at the end of a dump.</summary>
/// <param name="Errno">Zero on success.</param>
/// <param name="Text">The kernel's text (NLMSGERR_ATTR_MSG): an error, or a warning on success.</param>
internal readonly record struct Acknowledgement(Errno Errno, string? Text)
{
    /// <summary>Reads a struct nlmsgerr: the negative errno, the request (only its header with NLM_F_CAPPED), then attributes.</summary>
    public static Acknowledgement Read(Message message)
    {
        var payload = message.Payload;
        if (payload.Length < sizeof(int) + MessageHeader.Size)
            throw new MalformedMessageException(
                $"acknowledgement of {payload.Length} octets; at least {sizeof(int) + MessageHeader.Size} expected"
            );
        var errno = ReadErrno(payload);
        var request = MemoryMarshal.Read<MessageHeader>(payload[sizeof(int)..]);
        int length = MessageHeader.Size;
        if ((message.Header.Flags & Nlm.NLM_F_CAPPED) == 0)
        {
            if (request.Length < MessageHeader.Size || request.Length > (uint)(payload.Length - sizeof(int)))
                throw new MalformedMessageException(
                    $"acknowledgement quotes a request of {request.Length} octets; {payload.Length - sizeof(int)} are there"
                );
            length = (int)request.Length;
        }

        int start = sizeof(int) + ((length + 3) & ~3);
        return new Acknowledgement(errno, start < payload.Length ? ReadText(message.Header.Flags, payload[start..]) : null);
    }

    /// <summary>Reads a NLMSG_DONE: the outcome of the dump as a negative errno, then attributes.</summary>
    public static Acknowledgement ReadDone(Message message)
    {
        var payload = message.Payload;
        if (payload.Length == 0)
            return default;
        if (payload.Length < sizeof(int))
            throw new MalformedMessageException($"end of dump of {payload.Length} octets; none or at least {sizeof(int)} expected");
        return new Acknowledgement(ReadErrno(payload), ReadText(message.Header.Flags, payload[sizeof(int)..]));
    }

    private static Errno ReadErrno(ReadOnlySpan<byte> payload)
    {
        int value = MemoryMarshal.Read<int>(payload);
        // Positive numbers are sizes that some dump handlers return.
        return value is > 0 or int.MinValue ? Errno.None : (Errno)(-value);
    }

    private static string? ReadText(ushort flags, ReadOnlySpan<byte> attributes)
    {
        if ((flags & Nlm.NLM_F_ACK_TLVS) == 0)
            return null;
        var reader = new AttributeReader(attributes);
        while (reader.TryRead(out var attribute))
        {
            if (attribute.Type == Nlm.NLMSGERR_ATTR_MSG)
                return attribute.AsString();
        }

        return null;
    }
}
