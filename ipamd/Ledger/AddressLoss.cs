// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// Pods that lost their addresses by one cause: an interface that is not attached any more, or addresses that were taken from one that is.
/// </summary>
/// <param name="Interface">The interface that carried them last; null when none is known.</param>
/// <param name="IsInterfaceGone">It is not attached to this node any more.</param>
/// <param name="Since">When the first of them was found missing; null when that was before this run.</param>
/// <param name="Orphans">At least one.</param>
internal sealed record AddressLoss(
    NetworkInterfaceId? Interface,
    bool IsInterfaceGone,
    DateTimeOffset? Since,
    IReadOnlyList<Orphan> Orphans
)
{
    /// <summary>Names in a sentence; a node may run hundreds of pods.</summary>
    private const int NamedPods = 5;

    /// <summary>One for each cause, the oldest first.</summary>
    public static IReadOnlyList<AddressLoss> Of(LedgerView view) => Of(view.Orphans, view.Interfaces.Select(item => item.Id).ToHashSet());

    /// <param name="orphans">All of them, or those of one observation.</param>
    /// <param name="attached">The interfaces of this node now.</param>
    public static IReadOnlyList<AddressLoss> Of(IReadOnlyList<Orphan> orphans, IReadOnlySet<NetworkInterfaceId> attached) =>
        [
            .. orphans
                .GroupBy(orphan => orphan.LastPlace?.Id)
                .Select(group => new AddressLoss(
                    group.Key,
                    group.Key is { } id && !attached.Contains(id),
                    group.Min(orphan => orphan.Since),
                    [.. group]
                ))
                .OrderBy(loss => loss.Since ?? DateTimeOffset.MinValue),
        ];

    /// <summary>What happened, to whom, and since when.</summary>
    public string Sentence
    {
        get
        {
            var when = Since is { } since ? $" at {since:HH:mm:ss}Z" : " before this daemon started";
            var what =
                IsInterfaceGone ? $"{Interface} disappeared{when} with {Count(Orphans.Count, "pod")}"
                : Interface is { } id ? $"{Count(Orphans.Count, "address", "addresses")} of pods disappeared from {id}{when}"
                : $"{Count(Orphans.Count, "pod")} {(Orphans.Count == 1 ? "holds an address" : "hold addresses")} that no interface "
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
