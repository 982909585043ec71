// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Paths;

/// <summary>What the check of a path found.</summary>
/// <param name="Way">The links that had to carry it, and did: <c>ens6 -> eth0</c>.</param>
/// <param name="Packets">Counted on the first of them meanwhile.</param>
/// <param name="Detail">Addresses and times, in words.</param>
internal sealed record PathMeasure(string Way, long Packets, string Detail);

/// <summary>One path and how it is checked.</summary>
internal sealed record PathCheck(string What, Func<CancellationToken, Task<PathMeasure>> RunAsync);
