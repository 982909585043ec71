// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Hosting;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// All that the daemon does with the API server, each part on its own. None of it is needed to serve pods: a part that cannot reach the
/// server keeps what it knows and tries on, and one that breaks is begun again.
/// </summary>
internal sealed partial class ClusterLink(TimeProvider time, ILogger<ClusterLink> logger)
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, string> _problems = new(StringComparer.Ordinal);
    private readonly List<(string Name, Func<CancellationToken, Task> Run)> _parts = [];
    private readonly Supervisor _kept = new(time, logger);

    /// <summary>What does not work now, one sentence a part; null when all is well.</summary>
    public string? Problem
    {
        get
        {
            string[] all;
            lock (_lock)
                all = [.. _problems.Values];
            if (_kept.Problem is { } broken)
                all = [.. all, broken];
            return all.Length == 0 ? null : string.Join("; ", all);
        }
    }

    /// <summary>Before they run.</summary>
    public void Add(string name, Func<CancellationToken, Task> run) => _parts.Add((name, run));

    /// <summary>A part's failure, or null when it is well again. Said once in the log each way, not at every attempt.</summary>
    public void Failed(string part, ClusterException? failure)
    {
        string? before;
        lock (_lock)
        {
            _problems.TryGetValue(part, out before);
            if (failure is null)
                _problems.Remove(part);
            else
                _problems[part] = failure.Message;
        }

        if (failure is null)
        {
            if (before is not null)
                Log.Well(logger, part);
        }
        else if (before is null)
        {
            Log.Failed(logger, part, failure);
        }
    }

    /// <summary>Runs until cancelled.</summary>
    public Task RunAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(_parts.Select(part => _kept.RunAsync($"Kubernetes, {part.Name}", part.Run, cancellationToken)));

    private static partial class Log
    {
        [LoggerMessage(122, LogLevel.Warning, "the API server failed: pods are served without it, it is tried again")]
        public static partial void Failed(ILogger logger, string part, Exception exception);

        [LoggerMessage(123, LogLevel.Information, "the API server works again")]
        public static partial void Well(ILogger logger, string part);
    }
}
