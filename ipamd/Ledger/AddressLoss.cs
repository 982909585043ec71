// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger;

/// <summary>Pods that lost their addresses from one cause: a detached interface, or addresses removed from an attached one.</summary>
/// <param name="Interface">The interface that carried them last; null when unknown.</param>
/// <param name="IsInterfaceDetached">Whether that interface is no longer attached to this node.</param>
/// <param name="Since">When the first of them was found missing; null when that was before this daemon run.</param>
/// <param name="Orphans">The pods; at least one.</param>
internal sealed record AddressLoss(
    NetworkInterfaceId? Interface,
    bool IsInterfaceDetached,
    DateTimeOffset? Since,
    IReadOnlyList<Orphan> Orphans
)
{
    /// <summary>Most pods that <see cref="Description"/> names; a node may run hundreds.</summary>
    private const int NamedPods = 5;

    /// <summary>Groups the orphans by cause, oldest first.</summary>
    public static IReadOnlyList<AddressLoss> Of(LedgerView view) => Of(view.Orphans, view.Interfaces.Select(item => item.Id).ToHashSet());

    /// <param name="orphans">All orphans, or those of one observation.</param>
    /// <param name="attached">The interfaces attached to this node.</param>
    public static IReadOnlyList<AddressLoss> Of(IReadOnlyList<Orphan> orphans, IReadOnlySet<NetworkInterfaceId> attached) =>
        [
            .. orphans
                .GroupBy(orphan => orphan.LastSlot?.Id)
                .Select(group => new AddressLoss(
                    group.Key,
                    group.Key is { } id && !attached.Contains(id),
                    group.Min(orphan => orphan.Since),
                    [.. group]
                ))
                .OrderBy(loss => loss.Since ?? DateTimeOffset.MinValue),
        ];

    /// <summary>One sentence: what happened, to which pods, and when.</summary>
    public string Description
    {
        get
        {
            var when = Since is { } since ? $" at {since:HH:mm:ss}Z" : " before this daemon started";
            var what =
                IsInterfaceDetached ? $"{Interface} disappeared{when} with {Count(Orphans.Count, "pod")}"
                : Interface is { } id ? $"{Count(Orphans.Count, "address", "addresses")} of pods disappeared from {id}{when}"
                : $"{Count(Orphans.Count, "pod")} {(Orphans.Count == 1 ? "has an address" : "have addresses")} that no interface "
                    + $"of this node carries{(Since is null ? "" : $", found{when}")}";
            return $"{what}: "
                + $"{string.Join(", ", Orphans.Take(NamedPods).Select(Name))}"
                + $"{(Orphans.Count > NamedPods ? $" and {Orphans.Count - NamedPods} more" : "")}";
        }
    }

    private static string Name(Orphan orphan)
    {
        var (key, pod) = (orphan.Attachment.Key, orphan.Attachment.Pod);
        var name = pod.Name is { Length: > 0 } ? pod.ToString() : $"sandbox {key.ContainerId}";
        return $"{name} ({orphan.Attachment.Addresses[0].Address})";
    }

    private static string Count(int number, string one, string? many = null) => number == 1 ? $"1 {one}" : $"{number} {many ?? one + "s"}";
}
