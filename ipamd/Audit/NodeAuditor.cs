// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Audit;

/// <summary>
/// Compares ledger, kernel, namespaces and cloud in two passes some seconds apart: pods start and stop meanwhile, so only a mismatch of
/// both passes is a finding. Calls the cloud once, out of the node's budget. Runs in the daemon, which alone has the ledger and its
/// intents; repairs nothing.
/// </summary>
/// <param name="ledger">The daemon's view.</param>
/// <param name="cloud">The cloud; rate limited.</param>
/// <param name="node">Views of kernel and namespaces.</param>
/// <param name="wirings">Returns the wired interfaces.</param>
/// <param name="vethPrefix">Prefix of the names of pods' links.</param>
/// <param name="startObstacle">Returns what the daemon's start waits for; null after the start.</param>
/// <param name="requestObservation">Called when the cloud has something that the ledger lacks.</param>
/// <param name="time">Clock for the pause between the passes.</param>
internal sealed class NodeAuditor(
    IpLedger ledger,
    INodeCloud cloud,
    INodeView node,
    Func<IReadOnlyList<InterfaceWiring>> wirings,
    string vethPrefix,
    Func<string?> startObstacle,
    Action requestObservation,
    TimeProvider time
) : IDisposable
{
    /// <summary>
    /// Pause between the passes; longer than a DEL takes on a node that is not overloaded, from its first call of the kernel to the daemon.
    /// </summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);

    private readonly SemaphoreSlim _one = new(1);
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, DateTimeOffset> _changed = [];

    /// <summary>Records changes in flight, which are not compared; subscribes to the pool's events.</summary>
    public void Observe(PoolEvent poolEvent)
    {
        var intent = poolEvent switch
        {
            PoolEvent.ChangeBegan began => began.Intent,
            PoolEvent.ChangeAdvanced advanced => advanced.Intent,
            PoolEvent.ChangeEnded ended => ended.Intent,
            _ => null,
        };
        if (intent?.InterfaceId is not { } id)
            return;
        lock (_lock)
        {
            _changed[id] = poolEvent.At;
            foreach (
                var settled in _changed
                    .Where(pair => poolEvent.At - pair.Value > IpLedger.ConsistencyWindow)
                    .Select(pair => pair.Key)
                    .ToArray()
            )
                _changed.Remove(settled);
        }
    }

    /// <param name="asksCloud">Whether to call the cloud.</param>
    /// <param name="cancellationToken">Cancels the audit.</param>
    public async Task<AuditResult> RunAsync(bool asksCloud, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            List<string> notCompared = [];
            var described = asksCloud ? await DescribeAsync(notCompared, cancellationToken) : null;
            if (!asksCloud)
                notCompared.Add("cloud: left out on request");
            var first = TakeSnapshot(described, notCompared, cancellationToken);
            if (!first.Ledger.IsObserved)
                notCompared.Add(
                    "interfaces and their addresses: this daemon has not yet observed what is "
                        + $"attached{(startObstacle() is { } obstacle ? $" ({obstacle})" : "")}, so they are not compared"
                );
            var found = AuditComparison.Of(first);
            var last = first;
            if (found.Count > 0)
            {
                await Task.Delay(Pause, time, cancellationToken);
                last = TakeSnapshot(described, [], cancellationToken);
                var before = found.Select(finding => (finding.Kind, finding.Subject)).ToHashSet();
                found = [.. AuditComparison.Of(last).Where(finding => before.Contains((finding.Kind, finding.Subject)))];
            }

            if (found.Any(finding => finding.Kind.StartsWith("cloud-", StringComparison.Ordinal)))
                requestObservation();
            return new AuditResult(
                found,
                Compared(last),
                notCompared,
                IsComplete: last.Kernel is not null && last.Ledger.IsObserved && (!asksCloud || described is not null),
                Passes: ReferenceEquals(first, last) ? 1 : 2
            );
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    private async Task<IReadOnlyList<CloudInterface>?> DescribeAsync(List<string> notCompared, CancellationToken cancellationToken)
    {
        try
        {
            return await cloud.DescribeAttachedInterfacesAsync(cancellationToken);
        }
        catch (CloudException exception)
        {
            notCompared.Add($"cloud: {exception.Message}");
            return null;
        }
    }

    private AuditSnapshot TakeSnapshot(
        IReadOnlyList<CloudInterface>? described,
        List<string> notCompared,
        CancellationToken cancellationToken
    )
    {
        var now = time.GetUtcNow();
        var snapshot = new AuditSnapshot
        {
            At = now,
            Ledger = ledger.View(now),
            Attachments = ledger.Attachments(),
            Cooling = ledger.Record().Record.Cooling.Select(item => item.Address).ToHashSet(),
            Wirings = wirings(),
            VethPrefix = vethPrefix,
            Cloud = described,
            RecentlyChanged = RecentlyChanged(now),
        };
        snapshot = snapshot with { Kernel = Try("kernel", node.Kernel, notCompared) };
        return snapshot with
        {
            Runtime = Try(
                "namespaces",
                () =>
                    node.Runtime(
                        [.. snapshot.Attachments.Select(attachment => attachment.NetnsPath).Where(path => path.Length > 0)],
                        cancellationToken
                    ),
                notCompared
            ),
        };
    }

    private static T? Try<T>(string what, Func<T> read, List<string> notCompared)
        where T : class
    {
        try
        {
            return read();
        }
        catch (HostNetworkException exception)
        {
            notCompared.Add($"{what}: {exception.Message}");
            return null;
        }
    }

    private HashSet<NetworkInterfaceId> RecentlyChanged(DateTimeOffset now)
    {
        HashSet<NetworkInterfaceId> changed =
        [
            .. ledger.OpenIntents().Select(open => open.Intent.InterfaceId).OfType<NetworkInterfaceId>(),
        ];
        lock (_lock)
            changed.UnionWith(_changed.Where(pair => now - pair.Value <= IpLedger.ConsistencyWindow).Select(pair => pair.Key));
        return changed;
    }

    private static List<string> Compared(AuditSnapshot snapshot)
    {
        List<string> compared = [$"{snapshot.Attachments.Count} attachments", $"{snapshot.Ledger.Interfaces.Count} interfaces"];
        if (snapshot.Kernel is { } kernel)
            compared.Add($"{kernel.Links.Count} links, {kernel.Routes.Count} routes, {kernel.Rules.Count} rules of the kernel");
        if (snapshot.Runtime is { } runtime)
            compared.Add($"{runtime.Sandboxes.Count} namespaces");
        if (snapshot.Cloud is { } cloud)
        {
            var excluded = snapshot.RecentlyChanged.Count > 0 ? $" ({snapshot.RecentlyChanged.Count} left out: just changed)" : "";
            compared.Add($"{cloud.Count} interfaces in the cloud{excluded}");
        }

        return compared;
    }
}
