// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Provisioning;

/// <summary>Runs the reconciler on every signal and when its next step is due.</summary>
internal sealed partial class PoolLoop(
    PoolReconciler reconciler,
    PoolSignal signal,
    Action<StepOutcome> afterStep,
    TimeProvider time,
    ILogger<PoolLoop> logger
)
{
    /// <summary>Pause after an unexpected failure, which is a bug: it must neither end the loop nor make it spin.</summary>
    private static readonly TimeSpan PauseAfterBug = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(2);

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            TimeSpan wait;
            try
            {
                var outcome = reconciler.Step(cancellationToken);
                afterStep(outcome);
                wait = outcome.NextAt - time.GetUtcNow();
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is not Ledger.LedgerCorruptException)
            {
                Log.StepFailed(logger, exception);
                await DelayAsync(PauseAfterBug, cancellationToken);
                continue;
            }

            try
            {
                if (wait > TimeSpan.Zero)
                    await signal.WaitAsync(wait < LongestWait ? wait : LongestWait, time, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            // Collects the events of a short window into one plan.
            await DelayAsync(PoolLimits.Coalescing, cancellationToken);
        }
    }

    private async Task DelayAsync(TimeSpan pause, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(pause, time, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The loop's condition ends it.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(50, LogLevel.Error, "a step of the pool failed unexpectedly; this is a defect, please report it")]
        public static partial void StepFailed(ILogger logger, Exception exception);
    }
}
