// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.MissedDels;

/// <summary>A DEL that the plugin carried out while the daemon was away: the note that the plugin leaves and the daemon takes.</summary>
/// <param name="NetworkName">The network configuration's <c>name</c>.</param>
/// <param name="ContainerId">CNI_CONTAINERID.</param>
/// <param name="InterfaceName">CNI_IFNAME.</param>
/// <param name="At">When, by the machine's clock. For people: the clock may be set.</param>
/// <param name="SinceBoot">
/// When, by CLOCK_MONOTONIC, which nobody sets and which every process of a boot reads alike. Whether an ADD came before or after is
/// decided by it.
/// </param>
/// <param name="BootId">/proc/sys/kernel/random/boot_id: <paramref name="SinceBoot"/> means nothing in another boot.</param>
public sealed record MissedDel(
    string NetworkName,
    string ContainerId,
    string InterfaceName,
    DateTimeOffset At,
    TimeSpan SinceBoot,
    string BootId
);
