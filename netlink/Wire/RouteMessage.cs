// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace VpcCni.Netlink.Wire;

/// <summary>Encodes and parses route messages (RTM_*ROUTE): struct rtmsg and RTA_* attributes.</summary>
internal static class RouteMessage
{
    public static byte[] Change(ushort type, ushort flags, RouteInfo route)
    {
        Check(route);
        var writer = new MessageWriter(stackalloc byte[MessageWriter.MaxLength], type, flags);
        writer.Append(
            new RouteHeader
            {
                Family = Family.ToWire(route.Family),
                DestinationLength = (byte)(route.Destination?.PrefixLength ?? 0),
                Table = route.Table <= byte.MaxValue ? (byte)route.Table : (byte)0,
                Protocol = (byte)route.Protocol,
                Scope = (byte)route.Scope,
                Type = (byte)route.Type,
                Flags = route.OnLink ? Rta.RTNH_F_ONLINK : 0,
            }
        );
        // A default route has no RTA_DST.
        if (route.Destination is { PrefixLength: > 0 } destination)
            writer.Attribute(Rta.RTA_DST, destination.BaseAddress);
        if (route.Gateway is { } gateway)
            WriteGateway(ref writer, route.Family, gateway);
        if (route.Table > byte.MaxValue)
            writer.Attribute(Rta.RTA_TABLE, route.Table);
        if (route.PreferredSource is { } source)
            writer.Attribute(Rta.RTA_PREFSRC, source);
        if (route.Metric != 0)
            writer.Attribute(Rta.RTA_PRIORITY, route.Metric);
        if (route.LinkIndex != 0)
            writer.Attribute(Rta.RTA_OIF, route.LinkIndex);
        if (route.Mtu is { } mtu)
        {
            int metrics = writer.BeginNested(Rta.RTA_METRICS);
            writer.Attribute(Rta.RTAX_MTU, mtu);
            writer.EndNested(metrics);
        }

        if (route.NextHops.Count > 0)
            WriteNextHops(ref writer, route);
        return writer.ToArray();
    }

    /// <param name="table">Number of a table; 0 for all tables.</param>
    public static byte[] Dump(AddressFamily family, int table)
    {
        var writer = new MessageWriter(stackalloc byte[64], Rtm.RTM_GETROUTE, Nlm.NLM_F_DUMP);
        writer.Append(new RouteHeader { Family = Family.ToWire(family), Table = table <= byte.MaxValue ? (byte)table : (byte)0 });
        if (table > byte.MaxValue)
            writer.Attribute(Rta.RTA_TABLE, table);
        return writer.ToArray();
    }

    public static RouteInfo? Parse(Message message)
    {
        var header = message.Read<RouteHeader>(out var attributes);
        // A dump includes the multicast routing tables, which have families of their own.
        if (!Family.TryFromWire(header.Family, out var family))
            return null;
        IPAddress? destination = null,
            gateway = null,
            source = null;
        int table = header.Table,
            link = 0,
            metric = 0;
        int? mtu = null;
        List<NextHop>? hops = null;
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case Rta.RTA_DST:
                    destination = attribute.AsAddress();
                    break;
                case Rta.RTA_GATEWAY:
                    gateway = attribute.AsAddress();
                    break;
                case Rta.RTA_VIA:
                    gateway = ReadVia(attribute);
                    break;
                case Rta.RTA_PREFSRC:
                    source = attribute.AsAddress();
                    break;
                case Rta.RTA_TABLE:
                    table = attribute.AsInt32();
                    break;
                case Rta.RTA_OIF:
                    link = attribute.AsInt32();
                    break;
                case Rta.RTA_PRIORITY:
                    metric = attribute.AsInt32();
                    break;
                case Rta.RTA_METRICS:
                    mtu = ReadMtu(attribute.Nested);
                    break;
                case Rta.RTA_MULTIPATH:
                    hops = ReadNextHops(attribute.Value);
                    break;
            }
        }

        if (destination is not null && destination.AddressFamily != family)
            throw new MalformedMessageException($"destination {destination} is not of family {family}");
        if (destination is null && header.DestinationLength != 0)
            throw new MalformedMessageException($"a route to a /{header.DestinationLength} without a destination");
        return new RouteInfo
        {
            Family = family,
            // Parts of the kernel write 0.0.0.0/0.
            Destination =
                destination is null || header.DestinationLength == 0 ? null : Family.Network(destination, header.DestinationLength),
            Gateway = gateway,
            LinkIndex = link,
            Table = table,
            Scope = (RouteScope)header.Scope,
            Protocol = (RouteProtocol)header.Protocol,
            Type = (RouteType)header.Type,
            Metric = metric,
            PreferredSource = source,
            OnLink = (header.Flags & Rta.RTNH_F_ONLINK) != 0,
            Mtu = mtu,
            NextHops = hops ?? (IReadOnlyList<NextHop>)[],
        };
    }

    private static void Check(RouteInfo route)
    {
        if (route.Family is not (IpFamily.V4 or IpFamily.V6))
            throw new ArgumentException($"a route of family {route.Family}; InterNetwork or InterNetworkV6 expected");
        Family.Require(route.Family, route.Destination?.BaseAddress, "destination");
        Family.Require(route.Family, route.PreferredSource, "preferred source");
        // There is no IPv4 gateway for an IPv6 route.
        if (route.Family == IpFamily.V6)
            Family.Require(route.Family, route.Gateway, "gateway");
        ArgumentOutOfRangeException.ThrowIfNegative(route.Table);
        if (route.NextHops.Count > 0 && (route.Gateway is not null || route.LinkIndex != 0))
            throw new ArgumentException("a route has either next hops or a gateway and link");
    }

    private static void WriteGateway(ref MessageWriter writer, AddressFamily family, IPAddress gateway)
    {
        if (gateway.AddressFamily == family)
        {
            writer.Attribute(Rta.RTA_GATEWAY, gateway);
            return;
        }

        // struct rtvia: u16 family, then the address.
        Span<byte> via = stackalloc byte[18];
        ushort gatewayFamily = Family.ToWire(gateway.AddressFamily);
        MemoryMarshal.Write(via, in gatewayFamily);
        gateway.TryWriteBytes(via[2..], out int length);
        writer.Attribute(Rta.RTA_VIA, via[..(2 + length)]);
    }

    private static void WriteNextHops(ref MessageWriter writer, RouteInfo route)
    {
        int start = writer.BeginNested(Rta.RTA_MULTIPATH);
        foreach (var hop in route.NextHops)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(hop.Weight, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(hop.Weight, 256);
            if (route.Family == IpFamily.V6)
                Family.Require(route.Family, hop.Gateway, "gateway");
            int hopStart = writer.Length;
            writer.Append(
                new NextHopHeader
                {
                    Flags = hop.OnLink ? (byte)Rta.RTNH_F_ONLINK : (byte)0,
                    Hops = (byte)(hop.Weight - 1),
                    Index = hop.LinkIndex,
                }
            );
            if (hop.Gateway is { } gateway)
                WriteGateway(ref writer, route.Family, gateway);
            // rtnh_len has the offset of nla_len.
            writer.EndNested(hopStart);
        }

        writer.EndNested(start);
    }

    private static List<NextHop> ReadNextHops(ReadOnlySpan<byte> value)
    {
        var hops = new List<NextHop>();
        while (value.Length >= NextHopHeader.Size)
        {
            var header = MemoryMarshal.Read<NextHopHeader>(value);
            if (header.Length < NextHopHeader.Size || header.Length > value.Length)
                throw new MalformedMessageException($"next hop has length {header.Length}; {value.Length} octets remain");
            IPAddress? gateway = null;
            var attributes = new AttributeReader(value[NextHopHeader.Size..header.Length]);
            while (attributes.TryRead(out var attribute))
            {
                if (attribute.Type == Rta.RTA_GATEWAY)
                    gateway = attribute.AsAddress();
                else if (attribute.Type == Rta.RTA_VIA)
                    gateway = ReadVia(attribute);
            }

            hops.Add(new NextHop(gateway, header.Index, header.Hops + 1, (header.Flags & Rta.RTNH_F_ONLINK) != 0));
            value = value[Math.Min((header.Length + 3) & ~3, value.Length)..];
        }

        return hops;
    }

    private static IPAddress ReadVia(Attribute attribute)
    {
        if (attribute.Value.Length is not (6 or 18))
            throw new MalformedMessageException($"RTA_VIA of {attribute.Value.Length} octets; 6 or 18 expected");
        return new IPAddress(attribute.Value[2..]);
    }

    private static int? ReadMtu(AttributeReader metrics)
    {
        while (metrics.TryRead(out var metric))
        {
            if (metric.Type == Rta.RTAX_MTU)
                return metric.AsInt32();
        }

        return null;
    }
}
