// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds;

/// <summary>Assigns address blocks to attached interfaces and releases them.</summary>
internal interface IBlockProvider
{
    /// <summary>Adds blocks to an interface and returns exactly the added blocks. All or nothing.</summary>
    Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
        NetworkInterfaceId id,
        BlockRequest request,
        ChangeProgress progress,
        CancellationToken cancellationToken
    );

    /// <summary>Removes blocks from an interface. Succeeds for blocks that it no longer has.</summary>
    Task UnassignBlocksAsync(
        NetworkInterfaceId id,
        IReadOnlyList<IPNetwork> blocks,
        ChangeProgress progress,
        CancellationToken cancellationToken
    );
}
