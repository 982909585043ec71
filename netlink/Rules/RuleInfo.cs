// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Netlink;

/// <summary>Action of a matching rule: FR_ACT_* of linux/fib_rules.h.</summary>
public enum RuleAction
{
    /// <summary>Matches any action in a removal.</summary>
    Unspecified = 0,

    /// <summary>FR_ACT_TO_TBL: looks up the destination in <see cref="RuleInfo.Table"/>.</summary>
    ToTable = 1,
    Goto = 2,
    Nop = 3,
    Blackhole = 6,
    Unreachable = 7,
    Prohibit = 8,
}

/// <summary>A policy rule (<c>ip rule show</c>).</summary>
public sealed record RuleInfo
{
    public required AddressFamily Family { get; init; }

    /// <summary>Evaluation order; 0 is first. Sent as is, including 0.</summary>
    public int Priority { get; init; }

    /// <summary>Null matches all. Host bits of rules read from the kernel are dropped.</summary>
    public IPNetwork? Source { get; init; }

    /// <inheritdoc cref="Source"/>
    public IPNetwork? Destination { get; init; }

    /// <summary>Firewall mark that packets must have under <see cref="MarkMask"/>.</summary>
    public uint Mark { get; init; }

    /// <summary>0 with a mark of 0: the rule ignores the mark. 0 with another mark: all bits are compared.</summary>
    public uint MarkMask { get; init; }

    /// <summary>0 for actions other than <see cref="RuleAction.ToTable"/>.</summary>
    public int Table { get; init; } = RouteTable.Main;
    public string? InputInterface { get; init; }
    public string? OutputInterface { get; init; }

    /// <summary>Matches packets that the selectors do not match (<c>ip rule add not ..</c>).</summary>
    public bool Invert { get; init; }
    public RuleAction Action { get; init; } = RuleAction.ToTable;

    /// <summary>Originator of the rule. <see cref="RouteProtocol.Unspecified"/> matches any in a removal.</summary>
    public RouteProtocol Protocol { get; init; }

    /// <summary>
    /// The rule has a selector or property without a member here (ports, IP protocol, uid, tunnel, l3mdev, suppression, tos), so another
    /// program added it. Requests reject such a rule.
    /// </summary>
    public bool HasOtherSelectors { get; init; }
}
