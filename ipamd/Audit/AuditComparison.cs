// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>
/// Compares the views of one pass. Pure. Derived from what a pod needs, not from what the daemon declares, and without code of the
/// reconciler of the host's network, so that it finds what the reconciler misses.
/// </summary>
internal static partial class AuditComparison
{
    /// <summary>Time allowed for the plugin's wiring after an ADD, long enough for a loaded node.</summary>
    public static readonly TimeSpan WiringTime = TimeSpan.FromSeconds(30);

    private const string RecreatePod = "delete the pod, so that it is recreated with its own address";

    public static IReadOnlyList<Finding> Of(AuditSnapshot snapshot)
    {
        List<Finding> findings = [.. Orphans(snapshot)];
        if (snapshot.Kernel is { } kernel)
        {
            findings.AddRange(Pods(snapshot, kernel));
            findings.AddRange(Leftovers(snapshot, kernel));
            findings.AddRange(ForeignRoutes(snapshot, kernel));
            findings.AddRange(Interfaces(snapshot, kernel));
            findings.AddRange(DefaultRoute(snapshot, kernel));
            findings.AddRange(Settings(snapshot, kernel));
        }

        if (snapshot.Runtime is { } runtime)
            findings.AddRange(Sandboxes(snapshot, runtime));
        if (snapshot.Cloud is { } cloud && snapshot.Ledger.IsObserved)
            findings.AddRange(Cloud(snapshot, cloud));
        return
        [
            .. findings
                .OrderBy(finding => finding.Severity)
                .ThenBy(finding => finding.Kind, StringComparer.Ordinal)
                .ThenBy(finding => finding.Subject, StringComparer.Ordinal),
        ];
    }

    private static string Name(Attachment attachment) =>
        attachment.IsRecovered ? $"link {attachment.Key.ContainerId}"
        : attachment.Pod.Name is { Length: > 0 } ? attachment.Pod.ToString()
        : $"sandbox {attachment.Key.ContainerId}";

    private static bool IsOfPool(AuditSnapshot snapshot, IPAddress address) =>
        snapshot.Ledger.Interfaces.Any(item => item.CarriesPods && item.Blocks.Any(block => block.Range.Contains(address)));

    private static HashSet<IPAddress> AssignedAddresses(AuditSnapshot snapshot) =>
        [.. snapshot.Attachments.SelectMany(attachment => attachment.Addresses).Select(held => held.Address)];

    private static IEnumerable<Finding> Orphans(AuditSnapshot snapshot) =>
        AddressLoss
            .Of(snapshot.Ledger)
            .Select(loss => new Finding(
                Severity.Critical,
                "orphan",
                loss.Interface?.Value ?? "no interface",
                $"{loss.Description}: packets to them do not arrive",
                "delete these pods, so that they are recreated with new addresses"
            ));

    private static IEnumerable<Finding> Interfaces(AuditSnapshot snapshot, KernelFacts kernel)
    {
        foreach (
            var item in snapshot.Ledger.Interfaces.Where(item =>
                item.CarriesPods && !item.IsDraining && !snapshot.RecentlyChanged.Contains(item.Id)
            )
        )
        {
            if (snapshot.Wirings.FirstOrDefault(wiring => wiring.Slot == item.Slot) is not { } wired)
            {
                yield return new Finding(
                    Severity.Critical,
                    "interface-not-wired",
                    item.Id.Value,
                    $"{item.Slot} has addresses for pods, but was never wired",
                    "the daemon's log has the reason"
                );
                continue;
            }

            var mac = Netlink.MacAddress.Parse(wired.Mac);
            var link = kernel.Links.FirstOrDefault(candidate => candidate.Mac == mac && candidate.ParentIndex is null);
            if (link is not { IsUp: true })
            {
                yield return new Finding(
                    Severity.Critical,
                    "interface-link",
                    item.Id.Value,
                    link is null ? $"there is no link with its MAC address {wired.Mac}" : $"its link {link.Name} is down",
                    link is null
                        ? "check in the cloud whether it is still attached"
                        : $"ip link set {link.Name} up, and find out what set it down"
                );
                continue;
            }

            if (wired.IsPrimary)
                continue;
            if (!kernel.Routes.Any(route => route.Table == wired.RouteTable && route.Destination is null && route.LinkIndex == link.Index))
                yield return new Finding(
                    Severity.Critical,
                    "interface-route",
                    item.Id.Value,
                    $"table {wired.RouteTable} has no default route through {link.Name}: its pods cannot reach anything outside the node",
                    RepairedByDaemon
                );
            if (
                !kernel.Rules.Any(rule =>
                    rule.Priority == RulePriorities.FromInterface
                    && rule.Source == IpRanges.Single(item.PrimaryAddress)
                    && rule.Table == wired.RouteTable
                )
            )
                yield return new Finding(
                    Severity.Warning,
                    "interface-rule",
                    item.Id.Value,
                    $"there is no rule from {item.PrimaryAddress} to table {wired.RouteTable}",
                    RepairedByDaemon
                );
        }
    }

    private const string RepairedByDaemon =
        "the daemon repairs this within seconds; if it persists, another program undoes it: see `ipamd status` and the daemon's log";
}
