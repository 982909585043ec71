// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink;

/// <summary>FR_ACT_* of linux/fib_rules.h: what a matching rule does.</summary>
public enum RuleAction
{
    /// <summary>In a removal: any action.</summary>
    Unspecified = 0,

    /// <summary>FR_ACT_TO_TBL: looks the destination up in <see cref="RuleInfo.Table"/>.</summary>
    ToTable = 1,
    Goto = 2,
    Nop = 3,
    Blackhole = 6,
    Unreachable = 7,
    Prohibit = 8,
}

/// <summary>A policy rule. <c>ip rule show</c>.</summary>
public sealed record RuleInfo
{
    public required AddressFamily Family { get; init; }

    /// <summary>0 is the first to be looked at. Always sent as it is here, also 0.</summary>
    public int Priority { get; init; }

    /// <summary>Null: all. Host bits of foreign rules are not kept.</summary>
    public IPNetwork? Source { get; init; }

    /// <inheritdoc cref="Source"/>
    public IPNetwork? Destination { get; init; }

    /// <summary>Packets whose firewall mark equals this under <see cref="MarkMask"/>.</summary>
    public uint Mark { get; init; }

    /// <summary>0 with a mark of 0: the mark is not looked at. 0 with another mark: all bits are.</summary>
    public uint MarkMask { get; init; }

    /// <summary>0 for actions other than <see cref="RuleAction.ToTable"/>.</summary>
    public int Table { get; init; } = RouteTable.Main;
    public string? InputInterface { get; init; }
    public string? OutputInterface { get; init; }

    /// <summary>Matches what the selectors do not (<c>ip rule add not ..</c>).</summary>
    public bool Invert { get; init; }
    public RuleAction Action { get; init; } = RuleAction.ToTable;

    /// <summary>Who put it there. <see cref="RouteProtocol.Unspecified"/> in a removal: anyone.</summary>
    public RouteProtocol Protocol { get; init; }

    /// <summary>
    /// The rule looks at, or does, something that has no member here (ports, protocol, uid, tunnel, l3mdev, suppression, tos): it is
    /// somebody else's. Requests refuse such a rule.
    /// </summary>
    public bool HasOtherSelectors { get; init; }
}
