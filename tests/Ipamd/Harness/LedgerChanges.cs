// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Tests.Harness;

/// <summary>Begins changes on a ledger, without a planner.</summary>
internal static class LedgerChanges
{
    private const string Token = "token";

    public static Intent? BeginAssign(this IpLedger ledger, NetworkInterfaceId id, BlockRequest blocks, DateTimeOffset now) =>
        ledger.Begin(new PoolChange.AssignBlocks(id, "subnet-1", blocks), Token, now);

    public static Intent BeginAdd(this IpLedger ledger, Slot slot, IReadOnlyList<BlockRequest> blocks, DateTimeOffset now) =>
        ledger.Begin(new PoolChange.AddInterface(slot, "subnet-1", [], blocks), Token, now)!;

    public static Intent? BeginRelease(this IpLedger ledger, NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, DateTimeOffset now) =>
        ledger.Begin(new PoolChange.ReleaseBlocks(id, blocks), Token, now);

    public static Intent? BeginRemove(this IpLedger ledger, NetworkInterfaceId id, DateTimeOffset now)
    {
        var item = ledger.View(now).Interfaces.Single(item => item.Id == id);
        return ledger.Begin(new PoolChange.RemoveInterface(id, item.Slot, item.PrimaryAddress), Token, now);
    }
}
