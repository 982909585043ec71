// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink.Wire;

/// <summary>Encodes and parses messages on ids of namespaces (RTM_*NSID).</summary>
internal static class NamespaceIdMessage
{
    public static byte[] Get(int descriptor)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_GETNSID, 0);
        writer.Append(default(GeneralHeader));
        writer.Attribute(Netnsa.NETNSA_FD, descriptor);
        return writer.ToArray();
    }

    public static NamespaceNumber Parse(Message message)
    {
        message.Read<GeneralHeader>(out var attributes);
        int number = Netnsa.NotAssigned;
        while (attributes.TryRead(out var attribute))
            if (attribute.Type == Netnsa.NETNSA_NSID)
                number = attribute.AsInt32();
        return new NamespaceNumber(number == Netnsa.NotAssigned ? null : number);
    }
}

/// <summary>Id of a namespace; null if none is assigned, because no link leads there.</summary>
internal sealed record NamespaceNumber(int? Value);
