// SPDX-License-Identifier: Apache-2.0
using System.Security.Cryptography;
using System.Text;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// Holds the ledger against what the kernel shows. An address that is routed to a pod is in use, whatever the records say (a lost checkpoint, a teardown that failed): it is held until the route
/// is gone; so is one that the host itself has on a link. An attachment of which nothing is left (no route, no veth, no namespace) has lost its DEL: its address is given back.
/// </summary>
internal sealed partial class KernelEvidence(IpLedger ledger, IHostNetwork host, TimeProvider time, ILogger<KernelEvidence> logger)
{
    /// <summary>Between the reply to an ADD and the end of the plugin's wiring there is no evidence yet. Longer than any runtime lets a plugin run.</summary>
    public static readonly TimeSpan MinimumAge = TimeSpan.FromMinutes(3);

    /// <summary>Told what the kernel put right.</summary>
    public PoolEvents Events { get; init; } = new();

    /// <summary>Attachments that had no evidence at the last look: only a second look condemns.</summary>
    private HashSet<AttachmentKey> _missing = [];

    /// <summary>Holds what is routed to a pod, or configured on a link of the host, and held by nobody. Before the first address is handed out, and before a cooldown ends.</summary>
    /// <exception cref="HostNetworkException">The kernel could not be asked.</exception>
    public void HoldInUse()
    {
        var now = time.GetUtcNow();
        foreach (var attachment in ledger.Recover(host.PodRoutes().Select(route => (route.HostInterface, route.Address)), PoolLimits.EvidenceLead, now))
        {
            Log.Held(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
            Events.Publish(new PoolEvent.Recovered(time.GetUtcNow(), attachment));
        }

        foreach (var attachment in ledger.HoldForHost(host.HostAddresses().Select(item => (item.Link, item.Address)), PoolLimits.EvidenceLead, now))
            Log.HeldForHost(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
    }

    /// <summary>Gives back what is certainly not in use any more.</summary>
    /// <exception cref="HostNetworkException">The kernel could not be asked; nothing was given back.</exception>
    public void ReleaseUnused()
    {
        var attachments = ledger.Attachments();
        if (attachments.Count == 0) return;
        var routed = host.PodRoutes().Select(route => route.Address).ToHashSet();
        var links = host.HostInterfaces();
        var hosts = host.HostAddresses().Select(item => item.Address).ToHashSet();
        // The link is named after the pod: it is that of a newer sandbox when one is routed.
        var elsewhere = attachments.Where(attachment => attachment.Addresses.Any(held => routed.Contains(held.Address))).Select(attachment => attachment.Pod).ToHashSet();
        HashSet<AttachmentKey> missing = [];
        foreach (var attachment in attachments.Where(attachment => attachment.Addresses.All(held => !routed.Contains(held.Address))))
        {
            if (attachment.IsHosts ? attachment.Addresses.Any(held => hosts.Contains(held.Address)) : HasTrace(attachment, links, hasNewer: elsewhere.Contains(attachment.Pod))) continue;
            if (_missing.Contains(attachment.Key)) Release(attachment);
            else missing.Add(attachment.Key);
        }

        _missing = missing;
    }

    /// <summary>Anything of a pod besides its route, which somebody may have flushed; or it is so young that there may be nothing yet.</summary>
    private bool HasTrace(Attachment attachment, IReadOnlyCollection<string> links, bool hasNewer)
    {
        // Recovered: its key names the link.
        if (attachment.IsRecovered) return links.Contains(attachment.Key.ContainerId);
        if (time.GetUtcNow() - attachment.AssignedAt < MinimumAge) return true;
        if (attachment.NetnsPath.Length > 0 && host.NamespaceExists(attachment.NetnsPath)) return true;
        // Without a pod's name the link is named after the attachment alone, and no newer one can have it.
        if (hasNewer && attachment.Pod.Name is { Length: > 0 }) return false;
        var suffix = LinkSuffix(attachment);
        return links.Any(link => link.EndsWith(suffix, StringComparison.Ordinal));
    }

    /// <summary>
    /// What follows the prefix in the name of a pod's host interface: 11 hexadecimal digits of SHA-1 of namespace and name, with the plugin and with the reference's. Outside Kubernetes, where there is no
    /// name, the plugin takes container id, interface name and the interface's place in the pod. A name, not a secret.
    /// </summary>
    internal static string LinkSuffix(Attachment attachment)
        => attachment.Pod.Name is { Length: > 0 } ? LinkSuffix(attachment.Pod) : Hash($"{attachment.Key.ContainerId}.{attachment.Key.InterfaceName}.0");

    internal static string LinkSuffix(PodReference pod) => Hash($"{pod.Namespace}.{pod.Name}");

    private static string Hash(string text) => Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(text)))[..11];

    private void Release(Attachment attachment)
    {
        // Cools like any other. The checkpoint follows with the next ADD or DEL; should a restart come first, this look is made again.
        ledger.Release(attachment.Key, time.GetUtcNow());
        if (attachment.IsHosts)
        {
            Log.LeftByHost(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
            return;
        }

        Log.Released(logger, attachment.Addresses[0].Address, attachment.Key, attachment.Pod);
        Events.Publish(new PoolEvent.LostDelete(time.GetUtcNow(), attachment));
    }

    private static partial class Log
    {
        [LoggerMessage(60, LogLevel.Warning, "{Address} is routed to {HostInterface} but nobody holds it; held until the route is gone")]
        public static partial void Held(ILogger logger, System.Net.IPAddress address, string hostInterface);

        [LoggerMessage(62, LogLevel.Warning, "{Address} is one of the pool's and is configured on {Link} of the host: no pod gets it, and it is not given back, as long as it is there")]
        public static partial void HeldForHost(ILogger logger, System.Net.IPAddress address, string link);

        [LoggerMessage(63, LogLevel.Information, "{Address} is not configured on {Link} of the host any more; it cools")]
        public static partial void LeftByHost(ILogger logger, System.Net.IPAddress address, string link);

        [LoggerMessage(61, LogLevel.Warning, "{Address} of {Attachment} (pod {Pod}) is routed nowhere and its namespace is gone: its DEL was lost; it cools")]
        public static partial void Released(ILogger logger, System.Net.IPAddress address, AttachmentKey attachment, PodReference pod);
    }
}
