// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Placement;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Watches the ENIConfig that the node names, and switches when the node names another one. On failures the last known ENIConfig stays in
/// force, even if the node names another one meanwhile; the pool then learns that the new one is unknown and adds no interfaces for the old
/// one.
/// </summary>
/// <param name="source">Lists and watches ENIConfigs.</param>
/// <param name="pool">Receives the ENIConfig, or the reason why there is none.</param>
/// <param name="options">Names of the annotation and the label that name the ENIConfig.</param>
/// <param name="failed">Called with each failure, and with null on recovery.</param>
internal sealed partial class EniConfigWatch(
    IObjectSource<EniConfigFacts> source,
    EniConfigSource pool,
    ClusterOptions options,
    Action<ClusterException?> failed,
    TimeProvider time,
    Random random,
    ILogger<EniConfigWatch> logger
)
{
    private readonly Lock _lock = new();
    private EniConfigReference? _wanted;
    private TaskCompletionSource _changed = new();

    /// <summary>Updates the wanted ENIConfig from the node object.</summary>
    public void OnNodeUpdated(NodeFacts node)
    {
        var wanted = EniConfigReference.Of(node, options);
        TaskCompletionSource changed;
        lock (_lock)
        {
            if (wanted == _wanted)
                return;
            _wanted = wanted;
            changed = _changed;
        }

        Log.Wanted(logger, wanted.Name, wanted.Origin);
        changed.TrySetResult();
    }

    /// <summary>
    /// Reports to the pool that the node object, and so its ENIConfig, is unknown. No effect once an ENIConfig is wanted.
    /// </summary>
    public void OnNodeUnavailable(string reason)
    {
        lock (_lock)
        {
            if (_wanted is not null)
                return;
        }

        pool.Set(new EniConfigState.Unknown(reason));
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            EniConfigReference? wanted;
            lock (_lock)
                (_changed, wanted) = (changed, _wanted);
            using var other = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var following = wanted is null ? Task.CompletedTask : FollowAsync(wanted, other.Token);
            // A task that completes had an invalid name, which it reported. One that throws has a defect; the supervisor restarts this
            // loop.
            if (await Task.WhenAny(changed.Task, following) == following)
            {
                await following;
                await ChangeAsync(changed.Task, cancellationToken);
            }

            await other.CancelAsync();
            await following;
        }
    }

    private static async Task ChangeAsync(Task changed, CancellationToken cancellationToken)
    {
        try
        {
            await changed.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The loop's condition ends it.
        }
    }

    private async Task FollowAsync(EniConfigReference wanted, CancellationToken cancellationToken)
    {
        if (!wanted.IsValid)
        {
            pool.Set(new EniConfigState.Missing(wanted.Name, $"this is not a valid object name ({wanted.Origin})"));
            return;
        }

        if (NameOf(pool.Current) is { } before && before != wanted.Name)
            pool.Set(new EniConfigState.Unknown($"the node now names '{wanted.Name}', which has not been read yet ({wanted.Origin})"));
        await new ObjectWatch<EniConfigFacts>(
            source,
            wanted.Name,
            found => pool.Set(StateOf(wanted, found)),
            failure => Failed(wanted, failure),
            time,
            random
        ).RunAsync(cancellationToken);
    }

    private static string? NameOf(EniConfigState state) =>
        state switch
        {
            EniConfigState.Present present => present.Name,
            EniConfigState.Missing missing => missing.Name,
            _ => null,
        };

    private static EniConfigState StateOf(EniConfigReference wanted, EniConfigFacts? found) =>
        found switch
        {
            null => new EniConfigState.Missing(wanted.Name, $"there is no such object ({wanted.Origin})"),
            { SubnetId: "" } => new EniConfigState.Missing(wanted.Name, $"its spec.subnet is empty ({wanted.Origin})"),
            _ => new EniConfigState.Present(wanted.Name, found.SubnetId, found.SecurityGroupIds),
        };

    private void Failed(EniConfigReference wanted, ClusterException? failure)
    {
        failed(failure);
        if (failure is null)
            return;
        // The resource itself is missing, which is as definite as a missing object.
        if (failure.Kind == ClusterErrorKind.NotFound)
            pool.Set(
                new EniConfigState.Missing(
                    wanted.Name,
                    "the cluster has no resource eniconfigs.crd.k8s.amazonaws.com: its definition is not installed"
                )
            );
        else if (pool.Current is EniConfigState.Unknown)
            pool.Set(new EniConfigState.Unknown(failure.Message));
    }

    private static partial class Log
    {
        [LoggerMessage(125, LogLevel.Information, "the node's ENIConfig is known")]
        public static partial void Wanted(ILogger logger, string eniConfig, string origin);
    }
}
