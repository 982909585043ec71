// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger;

/// <summary>A number of blocks of one shape.</summary>
internal readonly record struct BlockRequest(BlockShape Shape, int Count)
{
    /// <summary>Number of addresses of all blocks together.</summary>
    public int Addresses => Count * Shape.Size;
}
