// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink.Wire;

/// <summary>Encodes and parses rule messages (RTM_*RULE): struct fib_rule_hdr and FRA_* attributes.</summary>
internal static class RuleMessage
{
    private const uint AllBits = uint.MaxValue;

    public static byte[] Change(ushort type, ushort flags, RuleInfo rule)
    {
        Check(rule);
        // A removal without action matches any action, and the table still selects.
        bool toTable = rule.Action is RuleAction.ToTable or RuleAction.Unspecified;
        var writer = new MessageWriter(stackalloc byte[256], type, flags);
        writer.Append(
            new RuleHeader
            {
                Family = Family.ToWire(rule.Family),
                DestinationLength = (byte)(rule.Destination?.PrefixLength ?? 0),
                SourceLength = (byte)(rule.Source?.PrefixLength ?? 0),
                Table = toTable && rule.Table <= byte.MaxValue ? (byte)rule.Table : (byte)0,
                Action = (byte)rule.Action,
                Flags = rule.Invert ? Fra.FIB_RULE_INVERT : 0,
            }
        );
        // The kernel rejects the attribute of a selector of length 0.
        if (rule.Source is { PrefixLength: > 0 } source)
            writer.Attribute(Fra.FRA_SRC, source.BaseAddress);
        if (rule.Destination is { PrefixLength: > 0 } destination)
            writer.Attribute(Fra.FRA_DST, destination.BaseAddress);
        if (rule.Mark != 0 || rule.MarkMask != 0)
        {
            writer.Attribute(Fra.FRA_FWMARK, rule.Mark);
            writer.Attribute(Fra.FRA_FWMASK, rule.MarkMask != 0 ? rule.MarkMask : AllBits);
        }

        if (rule.InputInterface is { } input)
            writer.Name(Fra.FRA_IIFNAME, input);
        if (rule.OutputInterface is { } output)
            writer.Name(Fra.FRA_OIFNAME, output);
        if (toTable && rule.Table > byte.MaxValue)
            writer.Attribute(Fra.FRA_TABLE, rule.Table);
        writer.Attribute(Fra.FRA_PRIORITY, rule.Priority);
        if (rule.Protocol != RouteProtocol.Unspecified)
            writer.Attribute(Fra.FRA_PROTOCOL, (byte)rule.Protocol);
        return writer.ToArray();
    }

    public static byte[] Dump(AddressFamily family)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_GETRULE, Nlm.NLM_F_DUMP);
        writer.Append(new RuleHeader { Family = Family.ToWire(family) });
        return writer.ToArray();
    }

    public static RuleInfo? Parse(Message message)
    {
        var header = message.Read<RuleHeader>(out var attributes);
        if (!Family.TryFromWire(header.Family, out var family))
            return null;
        IPAddress? source = null,
            destination = null;
        string? input = null,
            output = null;
        uint mark = 0,
            mask = 0;
        int table = header.Table,
            priority = 0;
        int protocol = 0;
        bool other = header.Tos != 0;
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case Fra.FRA_SRC:
                    source = attribute.AsAddress();
                    break;
                case Fra.FRA_DST:
                    destination = attribute.AsAddress();
                    break;
                case Fra.FRA_IIFNAME:
                    input = attribute.AsString();
                    break;
                case Fra.FRA_OIFNAME:
                    output = attribute.AsString();
                    break;
                case Fra.FRA_FWMARK:
                    mark = attribute.AsUInt32();
                    break;
                case Fra.FRA_FWMASK:
                    mask = attribute.AsUInt32();
                    break;
                case Fra.FRA_TABLE:
                    table = attribute.AsInt32();
                    break;
                case Fra.FRA_PRIORITY:
                    priority = attribute.AsInt32();
                    break;
                case Fra.FRA_PROTOCOL:
                    protocol = attribute.AsByte();
                    break;
                case Fra.FRA_PAD:
                    break;
                // The kernel writes it into every dump; -1 means no suppression.
                case Fra.FRA_SUPPRESS_PREFIXLEN:
                    other |= attribute.AsInt32() != -1;
                    break;
                case Fra.FRA_FLOW:
                    other |= attribute.AsUInt32() != 0;
                    break;
                case Fra.FRA_L3MDEV:
                    other |= attribute.AsByte() != 0;
                    break;
                // Ports, IP protocol, uid, tunnel, goto, and attributes of newer kernels.
                default:
                    other = true;
                    break;
            }
        }

        if (mask == 0 && mark != 0)
            mask = AllBits;
        return new RuleInfo
        {
            Family = family,
            Priority = priority,
            Source = Network(family, source, header.SourceLength),
            Destination = Network(family, destination, header.DestinationLength),
            Mark = mark,
            MarkMask = mask,
            Table = table,
            InputInterface = input,
            OutputInterface = output,
            Invert = (header.Flags & Fra.FIB_RULE_INVERT) != 0,
            Action = (RuleAction)header.Action,
            Protocol = (RouteProtocol)protocol,
            HasOtherSelectors = other,
        };
    }

    private static IPNetwork? Network(AddressFamily family, IPAddress? address, byte prefixLength)
    {
        if (prefixLength == 0)
            return null;
        if (address is null || address.AddressFamily != family)
            throw new MalformedMessageException(
                $"a rule selects a /{prefixLength} of family {family}, but its address is {address?.ToString() ?? "missing"}"
            );
        return Family.Network(address, prefixLength);
    }

    private static void Check(RuleInfo rule)
    {
        if (rule.Family is not (IpFamily.V4 or IpFamily.V6))
            throw new ArgumentException($"a rule of family {rule.Family}; InterNetwork or InterNetworkV6 expected");
        if (rule.HasOtherSelectors)
            throw new ArgumentException("the rule has selectors that RuleInfo does not support, so it cannot be added or removed");
        Family.Require(rule.Family, rule.Source?.BaseAddress, "source");
        Family.Require(rule.Family, rule.Destination?.BaseAddress, "destination");
        ArgumentOutOfRangeException.ThrowIfNegative(rule.Table);
        if (rule.InputInterface is { } input)
            LinkRequests.CheckName(input);
        if (rule.OutputInterface is { } output)
            LinkRequests.CheckName(output);
    }
}
