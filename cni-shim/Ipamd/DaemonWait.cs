// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Logging;
using VpcCni.Shim.Interop;

namespace VpcCni.Shim.Ipamd;

/// <summary>
/// Repeats a call while the daemon is down, as during a restart or an update. Only for idempotent calls; a repeated AddNetwork returns
/// what the attachment has. Bounded twice: by the call's own time, and by <paramref name="longest"/>.
/// </summary>
/// <param name="socketPath">For the log.</param>
/// <param name="longest">Maximum wait for the daemon in this run of the plugin; 0: no call is repeated.</param>
/// <param name="time">Monotonic.</param>
/// <param name="log">Gets one line, when the wait begins.</param>
internal sealed class DaemonWait(string socketPath, TimeSpan longest, TimeProvider time, PluginLog log)
{
    /// <summary>Doubled after each attempt, up to <see cref="LongestPause"/>: some fifty attempts in ten seconds.</summary>
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(250);

    /// <summary>Time of the first call that found no daemon; null if none did.</summary>
    private long? _awaySince;

    /// <param name="timeout">Bound on the call, its repetitions and the pauses together.</param>
    /// <param name="call">The call; gets the remaining time.</param>
    public T Run<T>(TimeSpan timeout, Func<TimeSpan, T> call)
    {
        var started = time.GetTimestamp();
        var pause = FirstPause;
        while (true)
        {
            var left = timeout - time.GetElapsedTime(started);
            try
            {
                return call(left);
            }
            catch (RpcException exception) when (IpamdErrors.IsAway(exception) && MayRepeat(timeout - time.GetElapsedTime(started) - pause))
            {
                Begin(exception);
                Libc.Pause(pause);
                pause = pause + pause < LongestPause ? pause + pause : LongestPause;
            }
        }
    }

    private bool MayRepeat(TimeSpan left) =>
        left > TimeSpan.Zero && longest > TimeSpan.Zero && (_awaySince is not { } since || time.GetElapsedTime(since) < longest);

    private void Begin(RpcException exception)
    {
        if (_awaySince is not null)
            return;
        _awaySince = time.GetTimestamp();
        log.Info(
            $"the daemon does not answer: waiting for it, up to {longest.TotalSeconds:0.###} s",
            ("socket", socketPath),
            (FieldNames.Error, exception.Status.Detail)
        );
    }
}
