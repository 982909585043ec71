// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Hosting;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Runs the daemon's background tasks at the API server, each independently. Serving pods needs none of them: a task that cannot reach the
/// server keeps its last state and retries; one that throws is restarted. Thread-safe, except <see cref="Add"/>.
/// </summary>
internal sealed partial class ClusterLink(TimeProvider time, ILogger<ClusterLink> logger)
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, string> _problems = new(StringComparer.Ordinal);
    private readonly List<(string Name, Func<CancellationToken, Task> Run)> _parts = [];
    private readonly Supervisor _supervisor = new(time, logger);

    /// <summary>The current failures, joined; null if there are none.</summary>
    public string? Problem
    {
        get
        {
            string[] all;
            lock (_lock)
                all = [.. _problems.Values];
            if (_supervisor.Problem is { } broken)
                all = [.. all, broken];
            return all.Length == 0 ? null : string.Join("; ", all);
        }
    }

    /// <summary>Adds a task. Call before <see cref="RunAsync"/>.</summary>
    public void Add(string name, Func<CancellationToken, Task> run) => _parts.Add((name, run));

    /// <summary>Reports a task's failure, or null for its recovery. Logs each change once, not each attempt.</summary>
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
        Task.WhenAll(_parts.Select(part => _supervisor.RunAsync($"Kubernetes, {part.Name}", part.Run, cancellationToken)));

    private static partial class Log
    {
        [LoggerMessage(122, LogLevel.Warning, "the API server failed; the daemon serves pods without it and retries")]
        public static partial void Failed(ILogger logger, string part, Exception exception);

        [LoggerMessage(123, LogLevel.Information, "the API server works again")]
        public static partial void Well(ILogger logger, string part);
    }
}
