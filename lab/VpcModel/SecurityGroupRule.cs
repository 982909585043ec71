// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// What a rule of a security group allows: a protocol, its ports, and one peer. Two rules that allow the same are one for EC2, whatever
/// their descriptions.
/// </summary>
/// <param name="Protocol">"tcp", "udp", "icmp", "icmpv6", "-1" for all, or a number.</param>
/// <param name="FromPort">First port, or the type of ICMP; null: all.</param>
/// <param name="ToPort">Last port, or the code of ICMP; null: all.</param>
/// <param name="Peer">A range in canonical form, or the id of a group.</param>
public sealed record RulePermission(string Protocol, int? FromPort, int? ToPort, string Peer)
{
    private const int MaxPort = 65_535;

    /// <summary>EC2's words for protocols that have one, by number.</summary>
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["6"] = "tcp",
        ["17"] = "udp",
        ["1"] = "icmp",
        ["58"] = "icmpv6",
        ["all"] = "-1",
    };

    /// <summary>Everything to everywhere: what a new group allows to go out.</summary>
    public static RulePermission All { get; } = new("-1", null, null, "0.0.0.0/0");

    public bool IsGroup => Peer.StartsWith("sg-", StringComparison.Ordinal);

    public bool IsIpv6 => !IsGroup && Peer.Contains(':', StringComparison.Ordinal);

    /// <summary>As EC2 stores it: protocols by name, ports only where the protocol has them, ranges without host bits.</summary>
    public static RulePermission Create(string protocol, int? fromPort, int? toPort, string peer)
    {
        var name = protocol.ToLowerInvariant();
        name = Names.GetValueOrDefault(name, name);
        if (
            name is not ("tcp" or "udp" or "icmp" or "icmpv6" or "-1")
            && !byte.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _)
        )
            throw Ec2Faults.BadValue($"Invalid value '{protocol}' for IP protocol. Unknown protocol.");
        if (name is "tcp" or "udp")
            CheckPorts(fromPort, toPort);
        // Of ICMP -1 is every type and code; the other protocols have nothing of the kind.
        else if (name is "icmp" or "icmpv6")
            (fromPort, toPort) = (fromPort ?? -1, toPort ?? -1);
        else
            (fromPort, toPort) = (null, null);
        return new RulePermission(name, fromPort, toPort, peer.StartsWith("sg-", StringComparison.Ordinal) ? peer : Canonical(peer));
    }

    private static void CheckPorts(int? from, int? to)
    {
        if (from is null || to is null)
            throw Ec2Faults.BadValue("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.");
        if (from is < 0 or > MaxPort)
            throw Ec2Faults.BadValue($"TCP/UDP (from) port ({from}) out of range");
        if (to is < 0 or > MaxPort)
            throw Ec2Faults.BadValue($"TCP/UDP (to) port ({to}) out of range");
        if (from > to)
            throw Ec2Faults.BadValue($"Invalid TCP/UDP port range ({from}:{to})");
    }

    private static string Canonical(string text)
    {
        var parts = text.Split('/');
        if (
            parts.Length != 2
            || !IPAddress.TryParse(parts[0], out var address)
            || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            || length > (address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128)
            // The parser takes 10.0.0, too, for 10.0.0.0.
            || (address.AddressFamily == AddressFamily.InterNetwork && parts[0].Count(letter => letter == '.') != 3)
        )
            throw Ec2Faults.BadValue($"CIDR block {text} is malformed");

        var octets = address.GetAddressBytes();
        for (var bit = length; bit < octets.Length * 8; bit++)
            octets[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return $"{new IPAddress(octets)}/{length}";
    }

    /// <summary>As EC2 names it in refusals.</summary>
    public override string ToString()
    {
        var ports = FromPort is null ? "" : $", from port: {FromPort}, to port: {ToPort}";
        return $"peer: {Peer}, {(Protocol == "-1" ? "ALL" : Protocol.ToUpperInvariant())}{ports}, ALLOW";
    }
}

/// <summary>A rule of a security group.</summary>
public sealed record SecurityGroupRule
{
    /// <summary>E.g. <c>sgr-0f3a…</c>.</summary>
    public required string Id { get; init; }
    public required bool IsEgress { get; init; }
    public required RulePermission Permission { get; init; }
    public string Description { get; init; } = "";
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
}

/// <summary>A rule that is asked for.</summary>
public sealed record NewRule(RulePermission Permission, string Description);
