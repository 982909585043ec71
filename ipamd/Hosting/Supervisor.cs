// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Runs what the daemon does beside serving pods. An unforeseen failure of such a part is a defect of ours, and must neither end the daemon
/// nor spin: it is logged, shown, and after a pause the part begins again. No ADD fails because metrics did.
/// </summary>
internal sealed partial class Supervisor(TimeProvider time, ILogger logger)
{
    public static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, string> _broken = new(StringComparer.Ordinal);

    /// <summary>Parts that stand still now, and why; null when all run.</summary>
    public string? Problem
    {
        get
        {
            lock (_lock)
                return _broken.Count == 0 ? null : string.Join("; ", _broken.Values);
        }
    }

    /// <summary>Runs a part until cancelled. Throws nothing.</summary>
    /// <param name="name">For the log and <see cref="Problem"/>.</param>
    /// <param name="run">Begun anew after each failure; that it ends by itself is one.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task RunAsync(string name, Func<CancellationToken, Task> run, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await run(cancellationToken);
                if (cancellationToken.IsCancellationRequested)
                    return;
                throw new InvalidOperationException($"{name} ended by itself");
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                Log.Broken(logger, name, exception);
                lock (_lock)
                    _broken[name] =
                        $"{name} failed unexpectedly, which is a defect, and begins again at {time.GetUtcNow() + Pause:HH:mm:ss}Z: "
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
                _broken.Remove(name);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(
            124,
            LogLevel.Error,
            "a part of the daemon failed unexpectedly and begins again in a minute; this is a defect, please report it"
        )]
        public static partial void Broken(ILogger logger, string part, Exception exception);
    }
}
