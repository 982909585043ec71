// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>Compares the ledger with the runtime's namespaces and with the cloud.</summary>
internal static partial class AuditComparison
{
    private static IEnumerable<Finding> Sandboxes(AuditSnapshot snapshot, RuntimeFacts runtime)
    {
        var byPath = runtime.Sandboxes.ToDictionary(sandbox => sandbox.Path, StringComparer.Ordinal);
        foreach (
            var attachment in snapshot.Attachments.Where(attachment =>
                attachment.NetnsPath.Length > 0 && snapshot.At - attachment.AssignedAt >= WiringTime
            )
        )
        {
            var subject = $"{Name(attachment)} {attachment.Addresses[0].Address}";
            if (!byPath.TryGetValue(attachment.NetnsPath, out var sandbox))
            {
                if (runtime.Folders.Contains(Path.GetDirectoryName(attachment.NetnsPath)!))
                    yield return new Finding(
                        Severity.Warning,
                        "sandbox-gone",
                        subject,
                        $"its namespace {attachment.NetnsPath} is gone, and no DEL came",
                        "the daemon releases the address once link and route are gone, too; a runtime's GC releases it at once"
                    );
                continue;
            }

            if (Gateway(snapshot, attachment, sandbox) is { } gateway)
                yield return gateway with
                {
                    Subject = subject,
                };
            IPAddress[] inside =
            [
                .. sandbox.Addresses.Where(item => item.Link == attachment.Key.InterfaceName).Select(item => item.Address),
            ];
            foreach (var held in attachment.Addresses.Where(held => !inside.Contains(held.Address)))
            {
                yield return new Finding(
                    Severity.Critical,
                    "sandbox-address",
                    subject,
                    $"inside its namespace {attachment.Key.InterfaceName} has "
                        + $"{(inside.Length == 0 ? "no address" : string.Join(", ", inside.Select(address => address.ToString())))} "
                        + $"instead of {held.Address}",
                    RecreatePod
                );
            }
        }

        var named = snapshot.Attachments.Select(attachment => attachment.NetnsPath).ToHashSet(StringComparer.Ordinal);
        var links = (snapshot.Kernel?.Links ?? []).Select(link => link.Mac).OfType<MacAddress>().ToHashSet();
        // A namespace that was read by its number belongs to a pod of this node if a link of the host leads there.
        var led = (snapshot.Kernel?.Links ?? [])
            .Where(link => link.Kind == "veth")
            .Select(link => link.PeerNamespaceId)
            .OfType<int>()
            .ToHashSet();
        var ours = runtime.Sandboxes.Where(sandbox =>
            named.Contains(sandbox.Path) || sandbox.Gateways.Any(links.Contains) || (sandbox.NamespaceId is { } id && led.Contains(id))
        );
        foreach (
            var shared in ours.SelectMany(sandbox => sandbox.Addresses.Select(item => (sandbox.Path, item.Address)))
                .Where(item => IsOfPool(snapshot, item.Address))
                .GroupBy(item => item.Address)
        )
        {
            string[] paths = [.. shared.Select(item => item.Path).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
            if (paths.Length > 1)
                yield return new Finding(
                    Severity.Critical,
                    "shared-address",
                    shared.Key.ToString(),
                    $"{paths.Length} namespaces use it: {string.Join(", ", paths)}",
                    "delete all but the pod that `ipamd pods` shows"
                );
            else if (!AssignedAddresses(snapshot).Contains(shared.Key))
                yield return new Finding(
                    Severity.Critical,
                    "unknown-sandbox",
                    shared.Key.ToString(),
                    $"namespace {paths[0]} uses it, but the ledger has it free: another pod could get the same address",
                    RecreatePod
                );
        }
    }

    /// <summary>
    /// Compares the MAC address of a pod's permanent neighbour entry, to which its packets go, with that of its link, which drops packets
    /// to another address.
    /// </summary>
    private static Finding? Gateway(AuditSnapshot snapshot, Attachment attachment, SandboxFacts sandbox)
    {
        if (snapshot.Kernel is not { } kernel || sandbox.Gateways.Count == 0)
            return null;
        var route = kernel.Routes.FirstOrDefault(route =>
            route.Table == RouteTables.Main && route.Destination == IpRanges.Single(attachment.Addresses[0].Address)
        );
        if (
            kernel.Links.FirstOrDefault(link => link.Index == route?.LinkIndex)
                is not { Kind: "veth", PeerNamespaceId: not null, Mac: { } mac } link
            || sandbox.Gateways.Contains(mac)
        )
            return null;
        return new Finding(
            Severity.Critical,
            "pod-neighbour",
            "",
            $"inside its namespace the gateway has the MAC address {sandbox.Gateways[0]}, but its link {link.Name} has {mac}: the "
                + "node drops its packets",
            RepairedByDaemon
        );
    }

    private static IEnumerable<Finding> Cloud(AuditSnapshot snapshot, IReadOnlyList<CloudInterface> cloud)
    {
        var described = cloud.ToDictionary(item => item.Id);
        foreach (var known in snapshot.Ledger.Interfaces.Where(item => !snapshot.RecentlyChanged.Contains(item.Id)))
        {
            if (!described.TryGetValue(known.Id, out var real))
            {
                yield return new Finding(
                    known.Assigned > 0 ? Severity.Critical : Severity.Warning,
                    "cloud-interface",
                    known.Id.Value,
                    $"the ledger has it as {known.Slot} with {known.Assigned} addresses in use, but the cloud does not show it attached",
                    "somebody detached it; its pods are unreachable and must be recreated"
                );
                continue;
            }

            if (!known.CarriesPods)
                continue;
            var blocks = real.Blocks.ToHashSet();
            foreach (var block in known.Blocks.Where(block => !block.IsReleasing && !blocks.Contains(block.Range)))
            {
                yield return new Finding(
                    Severity.Critical,
                    "cloud-block",
                    block.Range.ToString(),
                    $"the ledger has it on {known.Id}{(block.Assigned > 0 ? $", {block.Assigned} in use," : "")} but the cloud does not: "
                        + "packets to it do not arrive",
                    block.Assigned > 0 ? RecreatePod : AdoptedByDaemon
                );
            }

            var ours = known.Blocks.Select(block => block.Range).ToHashSet();
            foreach (var block in blocks.Where(block => !ours.Contains(block)))
                yield return new Finding(
                    Severity.Warning,
                    "cloud-block-unknown",
                    block.ToString(),
                    $"the cloud has it on {known.Id}, but the ledger does not: it is unused",
                    AdoptedByDaemon
                );
        }

        var all = snapshot.Ledger.Interfaces.Select(item => item.Id).ToHashSet();
        foreach (var extra in described.Values.Where(item => !all.Contains(item.Id) && !snapshot.RecentlyChanged.Contains(item.Id)))
            yield return new Finding(
                Severity.Warning,
                "cloud-interface-unknown",
                extra.Id.Value,
                $"the cloud shows it attached as {extra.Slot}, but the ledger does not have it",
                AdoptedByDaemon
            );
    }

    private const string AdoptedByDaemon =
        "the daemon describes the interfaces every 15 minutes and adopts what it finds; this audit has triggered it now";
}
