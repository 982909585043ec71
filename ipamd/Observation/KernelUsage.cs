// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Compares the ledger with the kernel. An address routed to a pod is in use whatever the ledger says (after a lost checkpoint or a failed
/// teardown), and is reserved until the route is gone. So is an address on a link of the host, or routed to a link of no pod, which is
/// never attributed to a pod. Publishes recovered and released addresses. An attachment without route, veth and namespace has lost its DEL,
/// and its address is released.
/// </summary>
internal sealed partial class KernelUsage(
    IpLedger ledger,
    IHostNetwork host,
    PoolEvents events,
    TimeProvider time,
    ILogger<KernelUsage> logger
)
{
    /// <summary>
    /// Age below which an attachment counts as in use: the kernel shows nothing of it between the reply to the ADD and the end of the
    /// plugin's work. Longer than any runtime lets a plugin run.
    /// </summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromMinutes(3);

    /// <summary>
    /// How long an attachment must be unused before it is released: longer than another program takes to replace what it removed.
    /// </summary>
    public static readonly TimeSpan Confirmation = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Reserves addresses that are routed to a pod, or configured on a link of the host, and not assigned. Called before the first
    /// assignment and before a cooldown ends.
    /// </summary>
    /// <exception cref="HostNetworkException">The kernel could not be read.</exception>
    public void ReserveInUse()
    {
        var now = time.GetUtcNow();
        var routes = InUse(host.PodRoutes(), ledger.Attachments());
        foreach (
            var attachment in ledger.Recover(
                routes.Where(route => route.Foreign is null).Select(route => (route.HostInterface, route.Address)),
                PoolLimits.KernelCheckLead,
                now
            )
        )
        {
            Log.Reserved(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
            events.Publish(new PoolEvent.Recovered(time.GetUtcNow(), attachment));
        }

        foreach (
            var attachment in ledger.ReserveForHost(
                host.HostAddresses().Select(item => (item.Link, item.Address)),
                PoolLimits.KernelCheckLead,
                now
            )
        )
            Log.ReservedForHost(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
        var foreign = routes
            .Where(route => route.Foreign is not null)
            .DistinctBy(route => route.Address)
            .ToDictionary(route => route.Address);
        foreach (
            var attachment in ledger.ReserveForHost(
                foreign.Values.Select(route => (route.HostInterface, route.Address)),
                PoolLimits.KernelCheckLead,
                now
            )
        )
            Log.ReservedForForeignRoute(
                logger,
                attachment.Addresses[0].Address,
                attachment.Key.ContainerId,
                foreign[attachment.Addresses[0].Address].Foreign!
            );
    }

    /// <summary>
    /// Releases attachments that have been unused for <see cref="Confirmation"/>. Their cooldown counts from the check that first found
    /// them unused.
    /// </summary>
    /// <returns>When the next attachment may be confirmed as unused; null when there is none.</returns>
    /// <exception cref="HostNetworkException">The kernel could not be read; nothing was released.</exception>
    public DateTimeOffset? ReleaseUnused()
    {
        var attachments = ledger.Attachments();
        if (attachments.Count == 0)
            return null;
        var usage = Read(attachments);
        var now = time.GetUtcNow();
        var unused = attachments
            .Where(attachment => !IsYoung(attachment) && !IsUsed(attachment, usage))
            .Select(attachment => attachment.Key)
            .ToHashSet();
        var (certain, next) = ledger.MarkUnused(unused, Confirmation, now);
        foreach (var attachment in certain)
            Release(attachment);
        return next;
    }

    /// <summary>
    /// Releases the recovered attachment of a pod whose DEL arrived: the DEL names the pod, and the recovered key only the pod's link. An
    /// address that is still routed stays reserved: it belongs to a newer sandbox of the pod, or the plugin could not prove that it was the
    /// old one's.
    /// </summary>
    /// <returns>The released attachment; null for none.</returns>
    public Attachment? ReleaseRecovered(PodReference pod)
    {
        if (pod.Name is not { Length: > 0 })
            return null;
        var suffix = LinkSuffix(pod);
        Attachment[] candidates =
        [
            .. ledger
                .Attachments()
                .Where(attachment =>
                    attachment is { IsRecovered: true, IsHostOwned: false }
                    && attachment.Key.ContainerId.EndsWith(suffix, StringComparison.Ordinal)
                ),
        ];
        if (candidates.Length == 0)
            return null;
        try
        {
            var routed = host.PodRoutes().Select(route => route.Address).ToHashSet();
            // One per address: two of a dual-stack pod.
            Attachment[] released =
            [
                .. candidates
                    .Where(attachment => attachment.Addresses.All(item => !routed.Contains(item.Address)))
                    .Select(attachment => ledger.Release(attachment.Key, time.GetUtcNow()))
                    .OfType<Attachment>(),
            ];
            return released.Length == 0
                ? null
                : released[0] with
                {
                    Interfaces = [.. released.SelectMany(attachment => attachment.Interfaces)],
                };
        }
        catch (HostNetworkException exception)
        {
            Log.RecoveredKept(logger, pod, exception.Message);
            return null;
        }
    }

    /// <summary>
    /// Releases all attachments after a reboot, with cooldown since the boot: their pods and connections ended with the old kernel.
    /// </summary>
    /// <param name="bootedAt">When the kernel started.</param>
    /// <exception cref="HostNetworkException">The kernel could not be read; nothing was released.</exception>
    public void ReleaseAfterReboot(DateTimeOffset bootedAt)
    {
        var attachments = ledger.Attachments();
        var usage = Read(attachments);
        var ended = attachments.Where(attachment => !IsUsed(attachment, usage)).ToArray();
        foreach (var attachment in ended)
            ledger.Release(attachment.Key, bootedAt);
        Log.Rebooted(logger, ended.Length, bootedAt, attachments.Count - ended.Length);
    }

    private Reading Read(IReadOnlyList<Attachment> attachments)
    {
        var routes = InUse(host.PodRoutes(), attachments);
        var owners = ByAddress(attachments);
        return new Reading
        {
            Routed = routes.Select(route => route.Address).ToHashSet(),
            Links = host.HostInterfaces(),
            Hosts = host.HostAddresses().Select(item => item.Address).ToHashSet(),
            RoutedPods =
            [
                .. routes
                    .Select(route => owners.GetValueOrDefault(route.Address))
                    .OfType<Attachment>()
                    .Select(attachment => attachment.Pod),
            ],
            AssignedLinks = routes
                .Where(route => owners.ContainsKey(route.Address))
                .Select(route => route.HostInterface)
                .ToHashSet(StringComparer.Ordinal),
        };
    }

    /// <summary>
    /// Whether its plugin may still be at work, so that the kernel need not show anything yet. False once its namespace is gone.
    /// </summary>
    private bool IsYoung(Attachment attachment) =>
        !attachment.IsRecovered
        && time.GetUtcNow() - attachment.AssignedAt < MinimumAge
        && host.NamespaceAt(attachment.NetnsPath) != NamespacePresence.Gone;

    private bool IsUsed(Attachment attachment, Reading usage)
    {
        if (attachment.Addresses.Any(item => usage.Routed.Contains(item.Address)))
            return true;
        if (attachment.IsHostOwned)
            return attachment.Addresses.Any(item => usage.Hosts.Contains(item.Address));
        // Its key names the link, which may now belong to a newer sandbox of the same pod.
        if (attachment.IsRecovered)
            return usage.Links.Contains(attachment.Key.ContainerId) && !usage.AssignedLinks.Contains(attachment.Key.ContainerId);
        if (host.NamespaceAt(attachment.NetnsPath) == NamespacePresence.Present)
            return true;
        // The link is named after the pod, and belongs to a newer sandbox when that one is routed. Without a pod name it is named after the
        // attachment alone, and no newer one can have it.
        if (attachment.Pod.Name is { Length: > 0 } && usage.RoutedPods.Contains(attachment.Pod))
            return false;
        var suffix = LinkSuffix(attachment);
        return usage.Links.Any(link => link.EndsWith(suffix, StringComparison.Ordinal));
    }

    /// <summary>One reading of the kernel.</summary>
    private sealed record Reading
    {
        /// <summary>Addresses routed to a link, except those that an earlier sandbox left.</summary>
        public required HashSet<IPAddress> Routed { get; init; }

        /// <summary>Names of veth links.</summary>
        public required IReadOnlyCollection<string> Links { get; init; }

        /// <summary>Addresses of the host's own links.</summary>
        public required HashSet<IPAddress> Hosts { get; init; }

        /// <summary>Pods with an attachment that has a routed address.</summary>
        public required HashSet<PodReference> RoutedPods { get; init; }

        /// <summary>Links with a route to an assigned address: they belong to its attachment, whatever link had the name before.</summary>
        public required HashSet<string> AssignedLinks { get; init; }
    }

    /// <summary>The part of an attachment's host link name after the prefix.</summary>
    internal static string LinkSuffix(Attachment attachment) =>
        PodLinkNames.Hash(
            new PodLinkKey(attachment.Pod.Namespace, attachment.Pod.Name, attachment.Key.ContainerId, attachment.Key.InterfaceName),
            index: 0
        );

    /// <summary>The same for a pod named by the API server.</summary>
    internal static string LinkSuffix(PodReference pod) => PodLinkNames.Hash(new PodLinkKey(pod.Namespace, pod.Name, "", ""), index: 0);

    /// <summary>
    /// Removes routes that a pod's earlier sandbox left on a link of the same name: a link has one address per family, and the one that an
    /// ADD assigned is valid.
    /// </summary>
    private static List<PodRoute> InUse(IReadOnlyList<PodRoute> routes, IReadOnlyList<Attachment> attachments)
    {
        var shared = routes
            .GroupBy(route => (route.HostInterface, route.Address.AddressFamily))
            .Where(link => link.Skip(1).Any())
            .ToArray();
        if (shared.Length == 0)
            return [.. routes];
        var owners = ByAddress(attachments);

        bool IsOwn(PodRoute route) =>
            owners.TryGetValue(route.Address, out var owner) && route.HostInterface.EndsWith(LinkSuffix(owner), StringComparison.Ordinal);
        var leftovers = shared
            .Where(link => link.Any(IsOwn))
            .SelectMany(link => link.Where(route => !owners.ContainsKey(route.Address)))
            .ToHashSet();
        return [.. routes.Where(route => !leftovers.Contains(route))];
    }

    /// <summary>Attachments by address, without recovered ones.</summary>
    private static Dictionary<IPAddress, Attachment> ByAddress(IReadOnlyList<Attachment> attachments)
    {
        Dictionary<IPAddress, Attachment> owners = [];
        foreach (var attachment in attachments.Where(attachment => !attachment.IsRecovered))
        {
            foreach (var item in attachment.Addresses)
                owners.TryAdd(item.Address, attachment);
        }

        return owners;
    }

    private void Release(Attachment attachment)
    {
        // If the daemon restarts before the checkpoint has it, the next check releases it again.
        ledger.Release(attachment.Key, attachment.UnusedSince ?? time.GetUtcNow());
        if (attachment.IsHostOwned)
        {
            Log.ReleasedByHost(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
            return;
        }

        Log.Released(logger, attachment.Pod, attachment.Key, attachment.Addresses[0].Address);
        events.Publish(new PoolEvent.LostDelete(time.GetUtcNow(), attachment));
    }

    private static partial class Log
    {
        [LoggerMessage(60, LogLevel.Warning, "an unassigned address is routed to a link: reserved until the route is gone")]
        public static partial void Reserved(ILogger logger, IPAddress ip, string link);

        [LoggerMessage(
            62,
            LogLevel.Warning,
            "an address of the pool is configured on a link of the host: reserved, and not released to the cloud, until it is removed there"
        )]
        public static partial void ReservedForHost(ILogger logger, IPAddress ip, string link);

        [LoggerMessage(
            66,
            LogLevel.Warning,
            "an address of the pool is routed to a link of no pod: reserved until the route is gone, and no host network state is "
                + "set up for it"
        )]
        public static partial void ReservedForForeignRoute(ILogger logger, IPAddress ip, string link, string reason);

        [LoggerMessage(63, LogLevel.Information, "an address is no longer configured on or routed to a link of the host: released")]
        public static partial void ReleasedByHost(ILogger logger, IPAddress ip, string link);

        [LoggerMessage(
            65,
            LogLevel.Warning,
            "the DEL of a pod may have ended an address that was recovered from the kernel, which could not be read: it is checked "
                + "again within a minute"
        )]
        public static partial void RecoveredKept(ILogger logger, PodReference pod, string reason);

        [LoggerMessage(
            64,
            LogLevel.Information,
            "the node was rebooted since the checkpoint was written: the addresses of its former pods are released"
        )]
        public static partial void Rebooted(ILogger logger, int released, DateTimeOffset bootedAt, int kept);

        [LoggerMessage(61, LogLevel.Warning, "an address has no route and its namespace is gone, so its DEL was lost: released")]
        public static partial void Released(ILogger logger, PodReference pod, AttachmentKey attachment, IPAddress ip);
    }
}
