// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Audit;

/// <summary>
/// Compares the sides of one look. Pure, and written from what a pod needs, not from what the daemon declares: it shares no comparison with
/// the keeper of the host's network, so that what that one does not see is found here.
/// </summary>
internal static partial class AuditComparison
{
    /// <summary>Between the reply to an ADD and the end of the plugin's wiring, which a loaded node makes long.</summary>
    public static readonly TimeSpan Wiring = TimeSpan.FromSeconds(30);

    private const string Remake = "delete the pod, so that it is made anew with an address of its own";

    public static IReadOnlyList<Finding> Of(AuditLook look)
    {
        List<Finding> findings = [.. Orphans(look)];
        if (look.Kernel is { } kernel)
        {
            findings.AddRange(Pods(look, kernel));
            findings.AddRange(Leftovers(look, kernel));
            findings.AddRange(ForeignRoutes(look, kernel));
            findings.AddRange(Interfaces(look, kernel));
            findings.AddRange(DefaultRoute(look, kernel));
            findings.AddRange(Settings(look, kernel));
        }

        if (look.Runtime is { } runtime)
            findings.AddRange(Sandboxes(look, runtime));
        if (look.Cloud is { } cloud && look.Ledger.IsObserved)
            findings.AddRange(Cloud(look, cloud));
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

    private static bool IsOurs(AuditLook look, IPAddress address) =>
        look.Ledger.Interfaces.Any(item => item.CarriesPods && item.Blocks.Any(block => block.Range.Contains(address)));

    private static HashSet<IPAddress> Held(AuditLook look) =>
        [.. look.Attachments.SelectMany(attachment => attachment.Addresses).Select(held => held.Address)];

    private static IPNetwork Host(IPAddress address) => AddressBlocks.Single(address);

    private static IEnumerable<Finding> Orphans(AuditLook look) =>
        AddressLoss
            .Of(look.Ledger)
            .Select(loss => new Finding(
                Severity.Critical,
                "orphan",
                loss.Interface?.Value ?? "no interface",
                $"{loss.Description}: nothing that is sent to them arrives",
                "delete these pods, so that they are made anew with addresses of their own"
            ));

    private static IEnumerable<Finding> Interfaces(AuditLook look, KernelFacts kernel)
    {
        foreach (
            var item in look.Ledger.Interfaces.Where(item => item.CarriesPods && !item.IsDraining && !look.Unsettled.Contains(item.Id))
        )
        {
            if (
                look.Wirings.FirstOrDefault(wiring => wiring.DeviceIndex == item.DeviceIndex && wiring.NetworkCard == item.NetworkCard)
                is not { } wired
            )
            {
                yield return new Finding(
                    Severity.Critical,
                    "interface-not-wired",
                    item.Id.Value,
                    $"device {item.DeviceIndex} carries pods' addresses and has never been wired",
                    "see the daemon's log for why"
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
                    link is null ? "is it still attached? compare with EC2" : $"ip link set {link.Name} up, and find out who set it down"
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
                    $"table {wired.RouteTable} has no default route by {link.Name}: its pods reach nothing outside of the node",
                    KeeperShould
                );
            if (
                !kernel.Rules.Any(rule =>
                    rule.Priority == RulePriorities.FromInterface
                    && rule.Source == Host(item.PrimaryAddress)
                    && rule.Table == wired.RouteTable
                )
            )
                yield return new Finding(
                    Severity.Warning,
                    "interface-rule",
                    item.Id.Value,
                    $"there is no rule from {item.PrimaryAddress} to table {wired.RouteTable}",
                    KeeperShould
                );
        }
    }

    private const string KeeperShould =
        "the daemon repairs this within seconds; if it stays, another program undoes it: see `ipamd status` and the daemon's log";
}
