// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Runs the daemon's background services. An unexpected exception of a service is a defect, and must neither end the daemon nor cause a
/// busy loop: the supervisor logs and reports it, and restarts the service after a pause. No ADD fails because of metrics.
/// </summary>
internal sealed partial class Supervisor(TimeProvider time, ILogger logger)
{
    public static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, string> _failures = new(StringComparer.Ordinal);

    /// <summary>Services that wait for their restart, and why; null if all run.</summary>
    public string? Problem
    {
        get
        {
            lock (_lock)
                return _failures.Count == 0 ? null : string.Join("; ", _failures.Values);
        }
    }

    /// <summary>Runs a service until cancelled. Never throws.</summary>
    /// <param name="name">Name for the log and <see cref="Problem"/>.</param>
    /// <param name="run">Runs the service. Called again after each failure; returning early is one.</param>
    /// <param name="cancellationToken">Stops the service.</param>
    public async Task RunAsync(string name, Func<CancellationToken, Task> run, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await run(cancellationToken);
                if (cancellationToken.IsCancellationRequested)
                    return;
                throw new InvalidOperationException($"{name} returned early");
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                Log.Failed(logger, name, exception);
                lock (_lock)
                    _failures[name] =
                        $"{name} failed because of a defect and restarts at {time.GetUtcNow() + Pause:HH:mm:ss}Z: "
                        + $"{Truncate.Of(exception.Message)}";
            }

            try
            {
                await Task.Delay(Pause, time, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            lock (_lock)
                _failures.Remove(name);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(124, LogLevel.Error, "a background service failed and restarts in a minute; this is a defect, please report it")]
        public static partial void Failed(ILogger logger, string part, Exception exception);
    }
}
