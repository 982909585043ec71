// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace VpcCni.Netlink.Wire;

/// <summary>Parses a message. Returns null for messages of other families that share the type.</summary>
internal delegate T? MessageParser<T>(Message message)
    where T : class;

/// <summary>Sets flags and sequence number of an encoded message before it is sent.</summary>
internal static class MessageStamp
{
    public static void Write(Span<byte> message, ushort addFlags, uint sequence)
    {
        var header = MemoryMarshal.Read<MessageHeader>(message);
        header.Flags |= addFlags;
        header.Sequence = sequence;
        MemoryMarshal.Write(message, in header);
    }
}
