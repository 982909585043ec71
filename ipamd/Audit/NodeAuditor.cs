// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Audit;

/// <summary>
/// Looks at ledger, kernel, namespaces and EC2, and at what differs once more some seconds later: pods come and go meanwhile, and only what
/// two looks find is a finding. EC2 is asked once, out of the node's budget. Runs in the daemon, which alone has the ledger and its
/// intents; repairs nothing.
/// </summary>
/// <param name="ledger">The daemon's side.</param>
/// <param name="cloud">Budgeted.</param>
/// <param name="node">Kernel and namespaces.</param>
/// <param name="wirings">The interfaces that the daemon has wired.</param>
/// <param name="vethPrefix">How names of pods' links begin.</param>
/// <param name="startObstacle">What the daemon's start waits for; null when it is over.</param>
/// <param name="time">For the pause between two looks.</param>
internal sealed class NodeAuditor(
    IpLedger ledger,
    ICloud cloud,
    INodeView node,
    Func<IReadOnlyList<InterfaceWiring>> wirings,
    string vethPrefix,
    Func<string?> startObstacle,
    TimeProvider time
) : IDisposable
{
    /// <summary>Longer than a DEL takes from its first request of the kernel to the daemon, on a node that is not overloaded.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);

    private readonly SemaphoreSlim _one = new(1);
    private readonly Lock _lock = new();
    private readonly Dictionary<NetworkInterfaceId, DateTimeOffset> _changed = [];

    /// <summary>Told when something of the cloud was found that the ledger does not have.</summary>
    public Action ObserveSoon { get; init; } = () => { };

    /// <summary>To be subscribed to the pool's events: what is being changed is not compared.</summary>
    public void Observe(PoolEvent happened)
    {
        var intent = happened switch
        {
            PoolEvent.ChangeBegan began => began.Intent,
            PoolEvent.ChangeAdvanced advanced => advanced.Intent,
            PoolEvent.ChangeEnded ended => ended.Intent,
            _ => null,
        };
        if (intent?.InterfaceId is not { } concerned)
            return;
        lock (_lock)
        {
            _changed[concerned] = happened.At;
            foreach (
                var settled in _changed
                    .Where(pair => happened.At - pair.Value > IpLedger.ConsistencyWindow)
                    .Select(pair => pair.Key)
                    .ToArray()
            )
                _changed.Remove(settled);
        }
    }

    /// <param name="asksCloud">False: EC2 is left out.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task<AuditResult> RunAsync(bool asksCloud, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            List<string> notCompared = [];
            var described = asksCloud ? await DescribeAsync(notCompared, cancellationToken) : null;
            if (!asksCloud)
                notCompared.Add("EC2: left out as asked");
            var first = Look(described, notCompared, cancellationToken);
            if (!first.Ledger.IsObserved)
                notCompared.Add(
                    "interfaces and their addresses: this daemon has not yet observed which are "
                        + $"attached{(startObstacle() is { } obstacle ? $" ({obstacle})" : "")}, so nothing is said of them"
                );
            var found = AuditComparison.Of(first);
            var last = first;
            if (found.Count > 0)
            {
                await Task.Delay(Pause, time, cancellationToken);
                last = Look(described, [], cancellationToken);
                var before = found.Select(finding => (finding.Kind, finding.Subject)).ToHashSet();
                found = [.. AuditComparison.Of(last).Where(finding => before.Contains((finding.Kind, finding.Subject)))];
            }

            if (found.Any(finding => finding.Kind.StartsWith("cloud-", StringComparison.Ordinal)))
                ObserveSoon();
            return new AuditResult(
                found,
                Compared(last),
                notCompared,
                IsComplete: last.Kernel is not null && last.Ledger.IsObserved && (!asksCloud || described is not null),
                Looks: ReferenceEquals(first, last) ? 1 : 2
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
            notCompared.Add($"EC2: {exception.Message}");
            return null;
        }
    }

    private AuditLook Look(IReadOnlyList<CloudInterface>? described, List<string> notCompared, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var look = new AuditLook
        {
            At = now,
            Ledger = ledger.View(now),
            Attachments = ledger.Attachments(),
            Cooling = ledger.Record().Record.Cooling.Select(item => item.Address).ToHashSet(),
            Wirings = wirings(),
            VethPrefix = vethPrefix,
            Cloud = described,
            Unsettled = Unsettled(now),
        };
        look = look with { Kernel = Try("kernel", node.Kernel, notCompared) };
        return look with
        {
            Runtime = Try(
                "namespaces",
                () =>
                    node.Runtime(
                        [.. look.Attachments.Select(attachment => attachment.NetnsPath).Where(path => path.Length > 0)],
                        cancellationToken
                    ),
                notCompared
            ),
        };
    }

    private static T? Try<T>(string what, Func<T> look, List<string> notCompared)
        where T : class
    {
        try
        {
            return look();
        }
        catch (HostNetworkException exception)
        {
            notCompared.Add($"{what}: {exception.Message}");
            return null;
        }
    }

    private HashSet<NetworkInterfaceId> Unsettled(DateTimeOffset now)
    {
        HashSet<NetworkInterfaceId> unsettled =
        [
            .. ledger.OpenIntents().Select(open => open.Intent.InterfaceId).OfType<NetworkInterfaceId>(),
        ];
        lock (_lock)
            unsettled.UnionWith(_changed.Where(pair => now - pair.Value <= IpLedger.ConsistencyWindow).Select(pair => pair.Key));
        return unsettled;
    }

    private static List<string> Compared(AuditLook look)
    {
        List<string> compared = [$"{look.Attachments.Count} attachments", $"{look.Ledger.Interfaces.Count} interfaces"];
        if (look.Kernel is { } kernel)
            compared.Add($"{kernel.Links.Count} links, {kernel.Routes.Count} routes, {kernel.Rules.Count} rules of the kernel");
        if (look.Runtime is { } runtime)
            compared.Add($"{runtime.Sandboxes.Count} namespaces");
        if (look.Cloud is { } cloud)
            compared.Add(
                $"{cloud.Count} interfaces of EC2{(look.Unsettled.Count > 0 ? $" ({look.Unsettled.Count} left out: just changed)" : "")}"
            );
        return compared;
    }
}
