// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Paths;

/// <summary>Result of a check of a path that passed.</summary>
/// <param name="Links">The links that carried the packets, for example <c>ens6 -> eth0</c>.</param>
/// <param name="Packets">The number of packets that one of the links carried during the check.</param>
/// <param name="Detail">Addresses and times, as text.</param>
internal sealed record PathMeasurement(string Links, long Packets, string Detail);

/// <summary>A traffic path and its check, which throws <see cref="CheckFailedException"/> when it fails.</summary>
internal sealed record PathCheck(string What, Func<CancellationToken, Task<PathMeasurement>> RunAsync);
