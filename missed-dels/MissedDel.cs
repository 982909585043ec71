// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.MissedDels;

/// <summary>
/// A DEL that the plugin carried out while the daemon was down. The plugin writes it to a file, which the daemon processes later.
/// </summary>
/// <param name="NetworkName">The network configuration's <c>name</c>.</param>
/// <param name="ContainerId">CNI_CONTAINERID.</param>
/// <param name="InterfaceName">CNI_IFNAME.</param>
/// <param name="At">Time of the DEL by the wall clock, which may be set; for people.</param>
/// <param name="SinceBoot">
/// Time of the DEL by CLOCK_MONOTONIC, which cannot be set and is the same for all processes of a boot. It determines whether an ADD came
/// before or after.
/// </param>
/// <param name="BootId">/proc/sys/kernel/random/boot_id; <paramref name="SinceBoot"/> is only valid within this boot.</param>
public sealed record MissedDel(
    string NetworkName,
    string ContainerId,
    string InterfaceName,
    DateTimeOffset At,
    TimeSpan SinceBoot,
    string BootId
);
