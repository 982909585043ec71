// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Holds the ledger against what the kernel shows. An address that is routed to a pod is in use, whatever the records say (a lost
/// checkpoint, a teardown that failed): it is held until the route is gone; so is one that the host itself has on a link, or routes to a
/// link that is no pod's: that is never taken for a pod. An attachment of which nothing is left (no route, no veth, no namespace) has lost
/// its DEL: its address is released.
/// </summary>
internal sealed partial class KernelUsage(IpLedger ledger, IHostNetwork host, TimeProvider time, ILogger<KernelUsage> logger)
{
    /// <summary>
    /// Between the reply to an ADD and the end of the plugin's wiring there is no evidence yet. Longer than any runtime lets a plugin run.
    /// </summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromMinutes(3);

    /// <summary>
    /// Nothing may be left of an attachment for this long before it is released: longer than another program takes to replace what it
    /// removed.
    /// </summary>
    public static readonly TimeSpan Confirmation = TimeSpan.FromSeconds(10);

    /// <summary>Told what the kernel put right.</summary>
    public PoolEvents Events { get; init; } = new();

    /// <summary>
    /// Holds what is routed to a pod, or configured on a link of the host, and held by nobody. Before the first address is handed out, and
    /// before a cooldown ends.
    /// </summary>
    /// <exception cref="HostNetworkException">The kernel could not be asked.</exception>
    public void ReserveInUse()
    {
        var now = time.GetUtcNow();
        var routes = InUse(host.PodRoutes(), ledger.Attachments());
        foreach (
            var attachment in ledger.Recover(
                routes.Where(route => route.Foreign is null).Select(route => (route.HostInterface, route.Address)),
                PoolLimits.EvidenceLead,
                now
            )
        )
        {
            Log.Held(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
            Events.Publish(new PoolEvent.Recovered(time.GetUtcNow(), attachment));
        }

        foreach (
            var attachment in ledger.HoldForHost(
                host.HostAddresses().Select(item => (item.Link, item.Address)),
                PoolLimits.EvidenceLead,
                now
            )
        )
            Log.HeldForHost(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
        var foreign = routes
            .Where(route => route.Foreign is not null)
            .DistinctBy(route => route.Address)
            .ToDictionary(route => route.Address);
        foreach (
            var attachment in ledger.HoldForHost(
                foreign.Values.Select(route => (route.HostInterface, route.Address)),
                PoolLimits.EvidenceLead,
                now
            )
        )
            Log.HeldForForeignRoute(
                logger,
                attachment.Addresses[0].Address,
                attachment.Key.ContainerId,
                foreign[attachment.Addresses[0].Address].Foreign!
            );
    }

    /// <summary>
    /// Releases what has certainly not been in use for <see cref="Confirmation"/>; it has cooled since the look that first found it so.
    /// </summary>
    /// <returns>When the next look may make another one certain; null when nothing waits for that.</returns>
    /// <exception cref="HostNetworkException">The kernel could not be asked; nothing was released.</exception>
    public DateTimeOffset? ReleaseUnused()
    {
        var attachments = ledger.Attachments();
        if (attachments.Count == 0)
            return null;
        var usage = Look(attachments);
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
    /// Ends what was recovered from the kernel for a pod whose DEL has come: the DEL names the pod, and the recovered key names only the
    /// pod's link. An address that is still routed stays: it is that of a newer sandbox of the pod, or the plugin could not prove that it
    /// was the old one's.
    /// </summary>
    /// <returns>What was released; null for nothing.</returns>
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
            return candidates.FirstOrDefault(attachment => attachment.Addresses.All(held => !routed.Contains(held.Address))) is { } ended
                ? ledger.Release(ended.Key, time.GetUtcNow())
                : null;
        }
        catch (HostNetworkException exception)
        {
            Log.RecoveredKept(logger, pod, exception.Message);
            return null;
        }
    }

    /// <summary>
    /// After a reboot nothing of a pod is left, and its connections ended with the kernel: released at once, and cooling since then.
    /// </summary>
    /// <param name="bootedAt">When the kernel started.</param>
    /// <exception cref="HostNetworkException">The kernel could not be asked; nothing was released.</exception>
    public void ReleaseAfterReboot(DateTimeOffset bootedAt)
    {
        var attachments = ledger.Attachments();
        var usage = Look(attachments);
        var ended = attachments.Where(attachment => !IsUsed(attachment, usage)).ToArray();
        foreach (var attachment in ended)
            ledger.Release(attachment.Key, bootedAt);
        Log.Rebooted(logger, ended.Length, bootedAt, attachments.Count - ended.Length);
    }

    private Reading Look(IReadOnlyList<Attachment> attachments)
    {
        var routes = InUse(host.PodRoutes(), attachments);
        var named = HoldersByAddress(attachments);
        return new Reading
        {
            Routed = routes.Select(route => route.Address).ToHashSet(),
            Links = host.HostInterfaces(),
            Hosts = host.HostAddresses().Select(item => item.Address).ToHashSet(),
            RoutedPods =
            [
                .. routes.Select(route => named.GetValueOrDefault(route.Address)).OfType<Attachment>().Select(attachment => attachment.Pod),
            ],
            TakenLinks = routes
                .Where(route => named.ContainsKey(route.Address))
                .Select(route => route.HostInterface)
                .ToHashSet(StringComparer.Ordinal),
        };
    }

    /// <summary>
    /// Its plugin may still be at work: there need not be anything of it yet. Once its namespace is gone, nothing of it can come any more.
    /// </summary>
    private bool IsYoung(Attachment attachment) =>
        !attachment.IsRecovered
        && time.GetUtcNow() - attachment.AssignedAt < MinimumAge
        && host.NamespaceAt(attachment.NetnsPath) != NamespacePresence.Gone;

    private bool IsUsed(Attachment attachment, Reading usage)
    {
        if (attachment.Addresses.Any(held => usage.Routed.Contains(held.Address)))
            return true;
        if (attachment.IsHostOwned)
            return attachment.Addresses.Any(held => usage.Hosts.Contains(held.Address));
        // Its key names the link, which a newer sandbox of the same pod may have now.
        if (attachment.IsRecovered)
            return usage.Links.Contains(attachment.Key.ContainerId) && !usage.TakenLinks.Contains(attachment.Key.ContainerId);
        if (host.NamespaceAt(attachment.NetnsPath) == NamespacePresence.Present)
            return true;
        // The link is named after the pod: it is that of a newer sandbox when that one is routed. Without a pod's name it is named after
        // the attachment alone, and no newer one can have it.
        if (attachment.Pod.Name is { Length: > 0 } && usage.RoutedPods.Contains(attachment.Pod))
            return false;
        var suffix = LinkSuffix(attachment);
        return usage.Links.Any(link => link.EndsWith(suffix, StringComparison.Ordinal));
    }

    /// <summary>What one look at the kernel showed.</summary>
    private sealed record Reading
    {
        /// <summary>Addresses that are routed to a link, without those that an earlier sandbox left.</summary>
        public required HashSet<IPAddress> Routed { get; init; }

        /// <summary>Names of veth links.</summary>
        public required IReadOnlyCollection<string> Links { get; init; }

        /// <summary>Addresses of the host's own links.</summary>
        public required HashSet<IPAddress> Hosts { get; init; }

        /// <summary>Pods with an attachment of which an address is routed.</summary>
        public required HashSet<PodReference> RoutedPods { get; init; }

        /// <summary>
        /// Links to which an address is routed that an ADD gave: they are that attachment's, whoever had their names before.
        /// </summary>
        public required HashSet<string> TakenLinks { get; init; }
    }

    /// <summary>What follows the prefix in the name of the host end of an attachment's link.</summary>
    internal static string LinkSuffix(Attachment attachment) =>
        PodLinkNames.Hash(
            new PodLinkKey(attachment.Pod.Namespace, attachment.Pod.Name, attachment.Key.ContainerId, attachment.Key.InterfaceName),
            index: 0
        );

    /// <summary>The same of a pod of which the API server gives the name.</summary>
    internal static string LinkSuffix(PodReference pod) => PodLinkNames.Hash(new PodLinkKey(pod.Namespace, pod.Name, "", ""), index: 0);

    /// <summary>
    /// Without the routes that a pod's earlier sandbox left on a link of the same name: a link has one address of a family, and where an
    /// ADD named the holder of one, that is the one.
    /// </summary>
    private static List<PodRoute> InUse(IReadOnlyList<PodRoute> routes, IReadOnlyList<Attachment> attachments)
    {
        var shared = routes
            .GroupBy(route => (route.HostInterface, route.Address.AddressFamily))
            .Where(link => link.Skip(1).Any())
            .ToArray();
        if (shared.Length == 0)
            return [.. routes];
        var holders = HoldersByAddress(attachments);

        bool IsOwn(PodRoute route) =>
            holders.TryGetValue(route.Address, out var holder)
            && route.HostInterface.EndsWith(LinkSuffix(holder), StringComparison.Ordinal);
        var leftovers = shared
            .Where(link => link.Any(IsOwn))
            .SelectMany(link => link.Where(route => !holders.ContainsKey(route.Address)))
            .ToHashSet();
        return [.. routes.Where(route => !leftovers.Contains(route))];
    }

    /// <summary>Of the addresses that ADDs gave.</summary>
    private static Dictionary<IPAddress, Attachment> HoldersByAddress(IReadOnlyList<Attachment> attachments)
    {
        Dictionary<IPAddress, Attachment> holders = [];
        foreach (var attachment in attachments.Where(attachment => !attachment.IsRecovered))
        {
            foreach (var held in attachment.Addresses)
                holders.TryAdd(held.Address, attachment);
        }

        return holders;
    }

    private void Release(Attachment attachment)
    {
        // Should a restart come before the checkpoint has it, the next look does the same.
        ledger.Release(attachment.Key, attachment.UnusedSince ?? time.GetUtcNow());
        if (attachment.IsHostOwned)
        {
            Log.LeftByHost(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
            return;
        }

        Log.Released(logger, attachment.Pod, attachment.Key, attachment.Addresses[0].Address);
        Events.Publish(new PoolEvent.LostDelete(time.GetUtcNow(), attachment));
    }

    private static partial class Log
    {
        [LoggerMessage(60, LogLevel.Warning, "an address is routed to a link but nobody holds it: held until the route is gone")]
        public static partial void Held(ILogger logger, IPAddress ip, string link);

        [LoggerMessage(
            62,
            LogLevel.Warning,
            "an address of the pool is configured on a link of the host: no pod gets it, and it is not given back, as long as it is there"
        )]
        public static partial void HeldForHost(ILogger logger, IPAddress ip, string link);

        [LoggerMessage(
            66,
            LogLevel.Warning,
            "an address of the pool is routed to a link that is no pod's: no pod gets it as long as the route is there, and nothing "
                + "is made for it"
        )]
        public static partial void HeldForForeignRoute(ILogger logger, IPAddress ip, string link, string reason);

        [LoggerMessage(
            63,
            LogLevel.Information,
            "an address is neither configured on a link of the host nor routed to it any more: it cools"
        )]
        public static partial void LeftByHost(ILogger logger, IPAddress ip, string link);

        [LoggerMessage(
            65,
            LogLevel.Warning,
            "the DEL of a pod may have ended an address that was recovered from the kernel, which could not be asked: it is looked "
                + "at again within a minute"
        )]
        public static partial void RecoveredKept(ILogger logger, PodReference pod, string reason);

        [LoggerMessage(
            64,
            LogLevel.Information,
            "the machine was rebooted since the checkpoint was written: addresses of pods that ended with it are released"
        )]
        public static partial void Rebooted(ILogger logger, int released, DateTimeOffset bootedAt, int kept);

        [LoggerMessage(61, LogLevel.Warning, "an address is routed nowhere and its namespace is gone, so its DEL was lost: it cools")]
        public static partial void Released(ILogger logger, PodReference pod, AttachmentKey attachment, IPAddress ip);
    }
}
