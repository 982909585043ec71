// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>Compares the ledger with the kernel: what each pod needs, and what is left over.</summary>
internal static partial class AuditComparison
{
    private static IEnumerable<Finding> Pods(AuditSnapshot snapshot, KernelFacts kernel)
    {
        var veths = kernel.Links.Where(link => link.Kind == "veth").ToDictionary(link => link.Index);
        foreach (
            var attachment in snapshot.Attachments.Where(attachment =>
                !attachment.IsHostOwned && snapshot.At - attachment.AssignedAt >= WiringTime
            )
        )
        {
            foreach (var held in attachment.Addresses)
            {
                foreach (var finding in Pod(attachment, held, veths, kernel))
                    yield return finding;
            }
        }
    }

    private static IEnumerable<Finding> Pod(
        Attachment attachment,
        AttachmentAddress held,
        Dictionary<int, LinkInfo> veths,
        KernelFacts kernel
    )
    {
        var (name, host) = (Name(attachment), IpRanges.Single(held.Address));
        var subject = $"{name} {held.Address}";
        var route = kernel.Routes.FirstOrDefault(route =>
            route.Table == RouteTables.Main && route.Destination == host && route.Type == RouteType.Unicast
        );
        if (route is null)
        {
            // Of an attachment recovered from the kernel, only the link is known.
            var suffix = attachment.IsRecovered ? attachment.Key.ContainerId : KernelUsage.LinkSuffix(attachment);
            var isGone = !veths.Values.Any(link => link.Name.EndsWith(suffix, StringComparison.Ordinal));
            yield return attachment.IsRecovered && !isGone
                ? new Finding(
                    Severity.Critical,
                    "pod-route",
                    subject,
                    "the attachment was recovered from the kernel's route, which no longer exists; the daemon does not recreate it",
                    "if the pod runs, delete it, so that it is recreated; the daemon releases the address once the link is gone"
                )
            : isGone
                ? new Finding(
                    Severity.Warning,
                    "lost-delete",
                    subject,
                    "the ledger assigns this address to the pod, but the kernel has neither its link nor a route: its DEL was "
                        + "probably lost",
                    "the daemon releases the address once the namespace is gone, too; a runtime's GC releases it at once"
                )
            : new Finding(
                Severity.Critical,
                "pod-route",
                subject,
                "the route to the pod is missing: the node and its other pods cannot reach it",
                RepairedByDaemon
            );
            yield break;
        }

        if (!veths.TryGetValue(route.LinkIndex, out var link) || link.PeerNamespaceId is null)
            yield return new Finding(
                Severity.Critical,
                "pod-route",
                subject,
                $"its route leads to link {link?.Name ?? route.LinkIndex.ToString(CultureInfo.InvariantCulture)}, which is not a pod's",
                $"ip route get {held.Address} shows the route; remove it"
            );
        else if (!link.IsUp)
            yield return new Finding(Severity.Critical, "pod-link", subject, $"its link {link.Name} is down", RepairedByDaemon);
        if (!kernel.Rules.Any(rule => rule.Priority == RulePriorities.ToPod && rule.Destination == host && rule.Table == RouteTables.Main))
            yield return new Finding(
                Severity.Critical,
                "pod-rule",
                subject,
                "the rule to the pod is missing: pods of other interfaces send its packets to the VPC's router",
                RepairedByDaemon
            );
        if (held.Slot is not { } place)
            yield break;
        var table = place.RouteTable;
        RuleInfo[] from = [.. kernel.Rules.Where(rule => rule.Priority == RulePriorities.FromPod && rule.Source == host)];
        if (from.FirstOrDefault(rule => rule.Table != table) is { } wrong)
            yield return new Finding(
                Severity.Critical,
                "pod-table",
                subject,
                $"its packets are routed by table {wrong.Table}, but {place.Id} has table {table}: the cloud drops packets that leave "
                    + "through another interface",
                RepairedByDaemon
            );
        else if (from.Length == 0 && table != RouteTables.Main)
            yield return new Finding(
                Severity.Critical,
                "pod-table",
                subject,
                $"the rule from the pod to table {table} of {place.Id} is missing: the cloud drops packets that leave through another "
                    + "interface",
                RepairedByDaemon
            );
    }

    private static IEnumerable<Finding> Leftovers(AuditSnapshot snapshot, KernelFacts kernel)
    {
        var held = AssignedAddresses(snapshot);
        var named = snapshot
            .Attachments.Where(attachment => !attachment.IsRecovered)
            .SelectMany(attachment => attachment.Addresses)
            .Select(item => item.Address)
            .ToHashSet();
        var veths = kernel.Links.Where(link => link.Kind == "veth").ToDictionary(link => link.Index);
        HashSet<int> routed = [];
        foreach (
            var route in kernel.Routes.Where(route =>
                route.Table == RouteTables.Main && route.Type == RouteType.Unicast && veths.ContainsKey(route.LinkIndex)
            )
        )
        {
            routed.Add(route.LinkIndex);
            if (route.Destination is not { } destination || !IpRanges.IsSingle(destination) || !IsOfPool(snapshot, destination.BaseAddress))
                continue;
            var (address, link) = (destination.BaseAddress, veths[route.LinkIndex]);
            if (!named.Contains(address) && OwnerOf(snapshot, kernel, link, address) is { } owner)
            {
                yield return new Finding(
                    Severity.Warning,
                    "link-addresses",
                    link.Name,
                    $"{address} and {owner.Addresses[0].Address} are both routed to this link of {Name(owner)}, which "
                        + $"has only {owner.Addresses[0].Address}: the other one is left over from an earlier sandbox of the pod",
                    RepairedByDaemon
                );
                continue;
            }

            if (held.Contains(address) || !IsPodLink(link.Name, snapshot.VethPrefix) || link.PeerNamespaceId is null)
                continue;
            yield return snapshot.Cooling.Contains(address)
                ? new Finding(
                    Severity.Warning,
                    "leftover-route",
                    address.ToString(),
                    $"the address is in cooldown, but the kernel still routes it to {link.Name}",
                    "the daemon does not reuse the address while the route exists; the runtime's DEL, or `ip link delete`, removes it"
                )
                : new Finding(
                    Severity.Critical,
                    "unknown-route",
                    address.ToString(),
                    $"the kernel routes it to {link.Name}, but the ledger has it free: the next pod could get the same address",
                    $"the daemon reserves it at its next check; if no pod uses {link.Name}, run ip link delete {link.Name}"
                );
        }

        foreach (
            var address in kernel
                .Rules.Select(PodOf)
                .OfType<IPAddress>()
                .Distinct()
                .Where(address => !held.Contains(address) && IsOfPool(snapshot, address))
        )
            yield return new Finding(
                Severity.Warning,
                "leftover-rule",
                address.ToString(),
                "there are rules for this address, but no pod has it: they would misroute the packets of the next pod",
                RepairedByDaemon
            );

        var suffixes = snapshot
            .Attachments.Where(attachment => attachment.Pod.Name is { Length: > 0 })
            .Select(attachment => KernelUsage.LinkSuffix(attachment.Pod))
            .ToHashSet(StringComparer.Ordinal);
        // The link of a sandbox without a pod name may have any name.
        if (snapshot.Attachments.Any(attachment => attachment.Pod.Name is not { Length: > 0 }))
            yield break;
        foreach (
            var link in veths.Values.Where(link =>
                !routed.Contains(link.Index)
                && link.Group != LinkGroups.Released
                && IsPodLink(link.Name, snapshot.VethPrefix)
                && !suffixes.Contains(link.Name[snapshot.VethPrefix.Length..])
            )
        )
            yield return new Finding(
                Severity.Warning,
                "leftover-link",
                link.Name,
                "its name is that of a pod's link, but nothing is routed to it, and no such pod has an address",
                $"ip link delete {link.Name}, once you are sure that it is unused"
            );
    }

    /// <summary>Returns the attachment that the link is named after and that has another address of the family routed to it.</summary>
    private static Attachment? OwnerOf(AuditSnapshot snapshot, KernelFacts kernel, LinkInfo link, IPAddress other) =>
        snapshot.Attachments.FirstOrDefault(attachment =>
            !attachment.IsRecovered
            && link.Name.EndsWith(KernelUsage.LinkSuffix(attachment), StringComparison.Ordinal)
            && attachment.Addresses.Any(held =>
                !held.Address.Equals(other)
                && held.Address.AddressFamily == other.AddressFamily
                && kernel.Routes.Any(route =>
                    route.Table == RouteTables.Main && route.LinkIndex == link.Index && route.Destination == IpRanges.Single(held.Address)
                )
            )
        );

    private static IPAddress? PodOf(RuleInfo rule) =>
        rule switch
        {
            { Priority: RulePriorities.ToPod, Destination: { } to } when IpRanges.IsSingle(to) => to.BaseAddress,
            { Priority: RulePriorities.FromPod, Source: { } from } when IpRanges.IsSingle(from) => from.BaseAddress,
            _ => null,
        };

    /// <summary>Whether a link has the name of a pod's link: the prefix and 11 hexadecimal digits, as both plugins name them.</summary>
    private static bool IsPodLink(string name, string prefix) =>
        name.Length == prefix.Length + 11
        && name.StartsWith(prefix, StringComparison.Ordinal)
        && name[prefix.Length..].All(char.IsAsciiHexDigitLower);
}
