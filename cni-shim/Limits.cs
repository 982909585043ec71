// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>
/// Bounds of one run. The deadline of AddNetwork is configurable (<see cref="NetworkConfig.IpamdTimeout"/>); netlink calls are bounded by
/// their socket.
/// </summary>
internal static class Limits
{
    /// <summary>Maximum size of the configuration; a prevResult with hundreds of routes has some 100 KiB.</summary>
    public const int ConfigurationBytes = 4 * 1024 * 1024;

    /// <summary>Depth limit of the reference library's decoder: a prevResult that it cached must not fail a DEL.</summary>
    public const int JsonDepth = 10_000;

    /// <summary>Maximum number of addresses of a prevResult that a DEL removes: two per interface.</summary>
    public const int PreviousAddresses = 2 * InterfacesPerPod;

    /// <summary>Maximum number of problems in one error or log line.</summary>
    public const int Problems = 20;

    /// <summary>Deadline for stdin, for a runtime that does not close it.</summary>
    public static readonly TimeSpan Stdin = TimeSpan.FromSeconds(10);

    /// <summary>Deadline for stderr, for a runtime that does not read it: a log line must not delay a pod.</summary>
    public static readonly TimeSpan Stderr = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Deadline of DelNetwork, which does not wait for the pool; containerd's deadline of a whole teardown is one minute.
    /// </summary>
    public static readonly TimeSpan Release = TimeSpan.FromSeconds(10);

    /// <summary>Deadline of the calls of CHECK and GC; GC covers a whole node.</summary>
    public static readonly TimeSpan Question = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Deadline of STATUS. containerd runs it under a lock and without a deadline, so a plugin that hangs would hang the node's status.
    /// </summary>
    public static readonly TimeSpan Status = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Maximum length of an id or name. Runtimes' ids have 64 characters and names of Kubernetes objects at most 253; the specification has
    /// no limit.
    /// </summary>
    public const int NameLength = 1024;

    /// <summary>Maximum number of interfaces of one pod: more than any instance has network cards.</summary>
    public const int InterfacesPerPod = 32;
}
