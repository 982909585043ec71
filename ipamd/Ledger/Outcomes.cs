// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Ledger;

/// <summary>What came of asking the ledger for an address.</summary>
internal abstract record AssignOutcome
{
    private AssignOutcome()
    {
    }

    /// <summary>The attachment holds this address now.</summary>
    /// <param name="Attachment">What it holds.</param>
    /// <param name="IsNew">False when it held it before: the same ADD again.</param>
    internal sealed record Held(Attachment Attachment, bool IsNew) : AssignOutcome;

    /// <summary>No address is free now.</summary>
    internal sealed record NoAddress : AssignOutcome;
}

/// <summary>How an observation differed from what the ledger held.</summary>
internal sealed record ObservationChanges
{
    public static readonly ObservationChanges None = new() { InterfacesAdded = [], InterfacesLost = [], BlocksAdded = 0, BlocksLost = 0, Orphaned = [] };

    public required IReadOnlyList<NetworkInterfaceId> InterfacesAdded { get; init; }
    public required IReadOnlyList<NetworkInterfaceId> InterfacesLost { get; init; }
    public required int BlocksAdded { get; init; }
    public required int BlocksLost { get; init; }

    /// <summary>Attachments whose address was on an interface before and is on none now: somebody took it away under a live pod.</summary>
    public required IReadOnlyList<Attachment> Orphaned { get; init; }

    public bool Any => InterfacesAdded.Count + InterfacesLost.Count + BlocksAdded + BlocksLost + Orphaned.Count > 0;
}

/// <summary>An address on its way back to the pool.</summary>
internal readonly record struct CoolingAddress(IPAddress Address, DateTimeOffset ReleasedAt);

/// <summary>What must survive a restart. The rest of the ledger is observed anew.</summary>
internal sealed record LedgerRecord(IReadOnlyList<Attachment> Attachments, IReadOnlyList<CoolingAddress> Cooling)
{
    /// <summary>Changes of the cloud without a certain outcome.</summary>
    public IReadOnlyList<Intent> Intents { get; init; } = [];

    /// <summary>Blocks that were given back a moment ago, and when: a description that still shows them is late.</summary>
    public IReadOnlyList<(IPNetwork Range, DateTimeOffset At)> GivenBack { get; init; } = [];

    /// <summary>Interfaces that were removed a moment ago, and when.</summary>
    public IReadOnlyList<(NetworkInterfaceId Interface, DateTimeOffset At)> Gone { get; init; } = [];

    public static readonly LedgerRecord Empty = new([], []);
}
