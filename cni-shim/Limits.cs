// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>
/// The bounds of one run. The one on AddNetwork is configurable (<see cref="NetworkConfig.IpamdTimeout"/>); netlink calls are bounded by
/// their socket.
/// </summary>
internal static class Limits
{
    /// <summary>Far above any configuration; a prevResult with hundreds of routes has some 100 KiB.</summary>
    public const int ConfigurationBytes = 4 * 1024 * 1024;

    /// <summary>As deep as the reference library's decoder goes: a prevResult that it has cached must not fail a DEL here.</summary>
    public const int JsonDepth = 10_000;

    /// <summary>Addresses of a prevResult that a DEL looks for on the host: two families of each interface.</summary>
    public const int PreviousAddresses = 2 * InterfacesPerPod;

    /// <summary>Problems that one error or log lists.</summary>
    public const int Problems = 20;

    /// <summary>For a runtime that opens stdin and forgets to close it.</summary>
    public static readonly TimeSpan Stdin = TimeSpan.FromSeconds(10);

    /// <summary>For a runtime that does not read stderr: a log line is not worth a pod's start.</summary>
    public static readonly TimeSpan Stderr = TimeSpan.FromSeconds(1);

    /// <summary>DelNetwork needs no pool; containerd gives a whole teardown one minute.</summary>
    public static readonly TimeSpan Release = TimeSpan.FromSeconds(10);

    /// <summary>CHECK's question and GC's order; GC runs over a whole node.</summary>
    public static readonly TimeSpan Question = TimeSpan.FromSeconds(10);

    /// <summary>
    /// containerd asks STATUS under a lock and without a timeout of its own: a plugin that hangs would hang the node's status.
    /// </summary>
    public static readonly TimeSpan Status = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Ids and names that are kept for a pod's life. Runtimes' ids have 64 characters, names of Kubernetes objects at most 253; the
    /// specification has no limit.
    /// </summary>
    public const int NameLength = 1024;

    /// <summary>Interfaces of one pod: more than any instance has network cards.</summary>
    public const int InterfacesPerPod = 32;
}
