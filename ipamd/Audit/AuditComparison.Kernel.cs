// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>The ledger and the kernel: what each pod needs, and what nobody needs any more.</summary>
internal static partial class AuditComparison
{
    private static IEnumerable<Finding> Pods(AuditLook look, KernelFacts kernel)
    {
        var veths = kernel.Links.Where(link => link.Kind == "veth").ToDictionary(link => link.Index);
        foreach (
            var attachment in look.Attachments.Where(attachment => !attachment.IsHostOwned && look.At - attachment.AssignedAt >= Wiring)
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
        var (name, host) = (Name(attachment), Host(held.Address));
        var subject = $"{name} {held.Address}";
        var route = kernel.Routes.FirstOrDefault(route =>
            route.Table == RouteTables.Main && route.Destination == host && route.Type == RouteType.Unicast
        );
        if (route is null)
        {
            // Of one that was recovered from the kernel the link is all that is known.
            var suffix = attachment.IsRecovered ? attachment.Key.ContainerId : KernelUsage.LinkSuffix(attachment);
            var isGone = !veths.Values.Any(link => link.Name.EndsWith(suffix, StringComparison.Ordinal));
            yield return attachment.IsRecovered && !isGone
                ? new Finding(
                    Severity.Critical,
                    "pod-route",
                    subject,
                    "it was recovered from the kernel's route, and there is no route to it any more: nothing is made for it",
                    "if that pod runs, delete it, so that it is made anew; the address is released when its link is gone"
                )
            : isGone
                ? new Finding(
                    Severity.Warning,
                    "lost-delete",
                    subject,
                    "the ledger says that it holds this address, and the kernel has neither its link nor a route: its DEL was "
                        + "probably lost",
                    "the daemon gives it back by itself once the namespace is gone, too; a runtime's GC does it at once"
                )
            : new Finding(
                Severity.Critical,
                "pod-route",
                subject,
                "there is no route to it: the node and its other pods cannot reach it",
                KeeperShould
            );
            yield break;
        }

        if (!veths.TryGetValue(route.LinkIndex, out var link) || link.PeerNamespaceId is null)
            yield return new Finding(
                Severity.Critical,
                "pod-route",
                subject,
                $"it is routed to link {link?.Name ?? route.LinkIndex.ToString(CultureInfo.InvariantCulture)}, which is no pod's",
                $"ip route get {held.Address} shows where it goes; remove that route"
            );
        else if (!link.IsUp)
            yield return new Finding(Severity.Critical, "pod-link", subject, $"its link {link.Name} is down", KeeperShould);
        if (!kernel.Rules.Any(rule => rule.Priority == RulePriorities.ToPod && rule.Destination == host && rule.Table == RouteTables.Main))
            yield return new Finding(
                Severity.Critical,
                "pod-rule",
                subject,
                "the rule to it is missing: pods of other interfaces send what is meant for it to the VPC's router",
                KeeperShould
            );
        if (held.Slot is not { } place)
            yield break;
        var table = RouteTables.Of(place.DeviceIndex, place.NetworkCard);
        RuleInfo[] from = [.. kernel.Rules.Where(rule => rule.Priority == RulePriorities.FromPod && rule.Source == host)];
        if (from.FirstOrDefault(rule => rule.Table != table) is { } wrong)
            yield return new Finding(
                Severity.Critical,
                "pod-table",
                subject,
                $"what it sends is looked up in table {wrong.Table}, but {place.Id} has table {table}: EC2 drops packets that leave "
                    + "by another interface",
                KeeperShould
            );
        else if (from.Length == 0 && table != RouteTables.Main)
            yield return new Finding(
                Severity.Critical,
                "pod-table",
                subject,
                $"the rule from it to table {table} of {place.Id} is missing: EC2 drops packets that leave by another interface",
                KeeperShould
            );
    }

    private static IEnumerable<Finding> Leftovers(AuditLook look, KernelFacts kernel)
    {
        var held = Held(look);
        var named = look
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
            if (route.Destination is not { } destination || !AddressBlocks.IsSingle(destination) || !IsOurs(look, destination.BaseAddress))
                continue;
            var (address, link) = (destination.BaseAddress, veths[route.LinkIndex]);
            if (!named.Contains(address) && OwnerOf(look, kernel, link, address) is { } owner)
            {
                yield return new Finding(
                    Severity.Warning,
                    "link-addresses",
                    link.Name,
                    $"{address} and {owner.Addresses[0].Address} are both routed to it, and it is the link of {Name(owner)}, which "
                        + $"holds {owner.Addresses[0].Address} only: the other one is left from an earlier sandbox of the pod",
                    KeeperShould
                );
                continue;
            }

            if (held.Contains(address) || !IsPodLink(link.Name, look.VethPrefix) || link.PeerNamespaceId is null)
                continue;
            yield return look.Cooling.Contains(address)
                ? new Finding(
                    Severity.Warning,
                    "leftover-route",
                    address.ToString(),
                    $"it cools, and the kernel still routes it to {link.Name}",
                    "the daemon holds it back as long as the route is there; the runtime's DEL, or `ip link delete`, ends that"
                )
                : new Finding(
                    Severity.Critical,
                    "unknown-route",
                    address.ToString(),
                    $"the kernel routes it to {link.Name}, and the ledger has it free: the next pod could get the same",
                    $"the daemon holds it at its next look; if {link.Name} is no pod's any more, ip link delete {link.Name}"
                );
        }

        foreach (
            var address in kernel
                .Rules.Select(PodOf)
                .OfType<IPAddress>()
                .Distinct()
                .Where(address => !held.Contains(address) && IsOurs(look, address))
        )
            yield return new Finding(
                Severity.Warning,
                "leftover-rule",
                address.ToString(),
                "there are rules for it, and no pod holds it: they would send the next holder's packets the wrong way",
                KeeperShould
            );

        var suffixes = look
            .Attachments.Where(attachment => attachment.Pod.Name is { Length: > 0 })
            .Select(attachment => KernelUsage.LinkSuffix(attachment.Pod))
            .ToHashSet(StringComparer.Ordinal);
        // Where a sandbox without a pod's name holds an address, its link may be any.
        if (look.Attachments.Any(attachment => attachment.Pod.Name is not { Length: > 0 }))
            yield break;
        foreach (
            var link in veths.Values.Where(link =>
                !routed.Contains(link.Index)
                && link.Group != LinkGroups.Released
                && IsPodLink(link.Name, look.VethPrefix)
                && !suffixes.Contains(link.Name[look.VethPrefix.Length..])
            )
        )
            yield return new Finding(
                Severity.Warning,
                "leftover-link",
                link.Name,
                "it is named like a pod's link, nothing is routed to it, and no pod of that name holds an address",
                $"ip link delete {link.Name}, once you are sure that nobody uses it"
            );
    }

    /// <summary>Who holds another address of the family that is routed to the link, which is named after it.</summary>
    private static Attachment? OwnerOf(AuditLook look, KernelFacts kernel, LinkInfo link, IPAddress other) =>
        look.Attachments.FirstOrDefault(attachment =>
            !attachment.IsRecovered
            && link.Name.EndsWith(KernelUsage.LinkSuffix(attachment), StringComparison.Ordinal)
            && attachment.Addresses.Any(held =>
                !held.Address.Equals(other)
                && held.Address.AddressFamily == other.AddressFamily
                && kernel.Routes.Any(route =>
                    route.Table == RouteTables.Main && route.LinkIndex == link.Index && route.Destination == Host(held.Address)
                )
            )
        );

    private static IPAddress? PodOf(RuleInfo rule) =>
        rule switch
        {
            { Priority: RulePriorities.ToPod, Destination: { } to } when AddressBlocks.IsSingle(to) => to.BaseAddress,
            { Priority: RulePriorities.FromPod, Source: { } from } when AddressBlocks.IsSingle(from) => from.BaseAddress,
            _ => null,
        };

    /// <summary>The prefix and 11 hexadecimal digits, as both plugins name them.</summary>
    private static bool IsPodLink(string name, string prefix) =>
        name.Length == prefix.Length + 11
        && name.StartsWith(prefix, StringComparison.Ordinal)
        && name[prefix.Length..].All(char.IsAsciiHexDigitLower);
}
