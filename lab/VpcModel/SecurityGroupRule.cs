// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// What a rule of a security group allows: a protocol, its ports, and one peer. EC2 treats two rules with equal permissions as the same
/// rule, whatever their descriptions.
/// </summary>
/// <param name="Protocol">"tcp", "udp", "icmp", "icmpv6", "-1" for all, or a number.</param>
/// <param name="FromPort">First port, or the ICMP type; null for all.</param>
/// <param name="ToPort">Last port, or the ICMP code; null for all.</param>
/// <param name="Peer">A range in canonical form, or the id of a group.</param>
public sealed record RulePermission(string Protocol, int? FromPort, int? ToPort, string Peer)
{
    private const int MaxPort = 65_535;

    /// <summary>EC2's names of protocols, by number.</summary>
    private static readonly Dictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        ["6"] = "tcp",
        ["17"] = "udp",
        ["1"] = "icmp",
        ["58"] = "icmpv6",
        ["all"] = "-1",
    };

    /// <summary>All IPv4 traffic to every address, which a new group allows as egress.</summary>
    public static RulePermission All { get; } = new("-1", null, null, "0.0.0.0/0");

    public bool IsGroup => Peer.StartsWith("sg-", StringComparison.Ordinal);

    public bool IsIpv6 => !IsGroup && Peer.Contains(':', StringComparison.Ordinal);

    /// <summary>
    /// Creates a permission in the form in which EC2 stores it: protocols by name, ports only for protocols that have them, ranges without
    /// host bits.
    /// </summary>
    /// <exception cref="Ec2FaultException">A parameter is invalid.</exception>
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
        // For ICMP, -1 means every type or code. Other protocols have neither ports nor types.
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
            // IPAddress.TryParse also accepts three-part addresses such as 10.0.0.
            || (address.AddressFamily == AddressFamily.InterNetwork && parts[0].Count(letter => letter == '.') != 3)
        )
            throw Ec2Faults.BadValue($"CIDR block {text} is malformed");

        var octets = address.GetAddressBytes();
        for (var bit = length; bit < octets.Length * 8; bit++)
            octets[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return $"{new IPAddress(octets)}/{length}";
    }

    /// <summary>The text of the permission in EC2's error messages.</summary>
    public override string ToString()
    {
        var ports = FromPort is null ? "" : $", from port: {FromPort}, to port: {ToPort}";
        return $"peer: {Peer}, {(Protocol == "-1" ? "ALL" : Protocol.ToUpperInvariant())}{ports}, ALLOW";
    }
}

/// <summary>A rule of a security group.</summary>
public sealed record SecurityGroupRule
{
    /// <summary>The rule's id, for example <c>sgr-0f3a…</c>.</summary>
    public required string Id { get; init; }
    public required bool IsEgress { get; init; }
    public required RulePermission Permission { get; init; }
    public string Description { get; init; } = "";
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = NoTags.Value;
}

/// <summary>A rule to add.</summary>
public sealed record NewRule(RulePermission Permission, string Description);
