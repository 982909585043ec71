// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Follows the network's address ranges: a VPC gets ranges, and loses them, while nodes run. The instance metadata has them, which costs no
/// control-plane call.
/// </summary>
/// <param name="cloud">Asked for the ranges.</param>
/// <param name="ranges">Kept up to date. Empty until the start has read them: until then nothing is asked.</param>
/// <param name="interval">Between two questions; a tenth more or less, so that nodes do not ask in step.</param>
internal sealed partial class NetworkRangeWatch(
    ICloud cloud,
    NetworkRanges ranges,
    TimeSpan interval,
    TimeProvider time,
    Random random,
    ILogger<NetworkRangeWatch> logger
)
{
    private bool _failed;

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await Task.Delay(interval * (0.9 + (random.NextDouble() * 0.2)), time, cancellationToken);
                if (ranges.Current.Count > 0)
                    await SyncAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The daemon stops.
        }
    }

    internal async Task SyncAsync(CancellationToken cancellationToken)
    {
        try
        {
            var now = await cloud.DescribeNetworkRangesAsync(cancellationToken);
            _failed = false;
            // A network has a range: an answer without one is none.
            if (now.Count == 0 || now.ToHashSet().SetEquals(ranges.Current))
                return;
            Log.Changed(logger, string.Join(',', ranges.Current), string.Join(',', now));
            ranges.Set(now);
        }
        catch (CloudException exception)
        {
            if (!_failed)
                Log.NotRead(logger, exception);
            _failed = true;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(85, LogLevel.Information, "the network's ranges changed")]
        public static partial void Changed(ILogger logger, string before, string now);

        [LoggerMessage(86, LogLevel.Warning, "the network's ranges could not be read: those that are known stay")]
        public static partial void NotRead(ILogger logger, Exception exception);
    }
}
