// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Placement;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Follows the ENIConfig that the node names: when the node names another one, that; when the object changes, its new content. While
/// nothing is heard the last one that was heard stays in force, also when the node names another one since; then the pool is told that the
/// new one is not known, so that it makes nothing more after the old one.
/// </summary>
/// <param name="source">Where ENIConfigs are.</param>
/// <param name="pool">Told what there is, or why there is none.</param>
/// <param name="options">Which annotation and label name it.</param>
/// <param name="failed">Called with each failure, and with null after one when all is well again.</param>
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

    /// <summary>The node was seen.</summary>
    public void Seen(NodeFacts node)
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

    /// <summary>The node could not be asked which one it wants.</summary>
    public void NodeUnknown(string reason)
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
            // One that ends well has told all there is to tell; one that fails is a defect, and whoever runs this begins it again.
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
        if (!wanted.IsName)
        {
            pool.Set(new EniConfigState.Missing(wanted.Name, $"this is no name of an object ({wanted.Origin})"));
            return;
        }

        if (NameOf(pool.Current) is { } before && before != wanted.Name)
            pool.Set(new EniConfigState.Unknown($"the node names '{wanted.Name}' now, which has not been read yet ({wanted.Origin})"));
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
        // The whole resource is not there: as sure an answer as "no such object".
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
