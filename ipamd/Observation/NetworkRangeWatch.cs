// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Observation;

/// <summary>
/// Follows the network's address ranges, which may change while nodes run. Reads them from the instance metadata, which costs no
/// control-plane call.
/// </summary>
/// <param name="cloud">The cloud to read from.</param>
/// <param name="ranges">Updated with every change. Empty until the start has read them; nothing is read before.</param>
/// <param name="interval">Time between two reads, with ten per cent of jitter, so that nodes do not read in step.</param>
internal sealed partial class NetworkRangeWatch(
    INodeCloud cloud,
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
                await Task.Delay(Jitter.Around(interval, random), time, cancellationToken);
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
            // A network always has a range: an empty answer is invalid.
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

        [LoggerMessage(86, LogLevel.Warning, "the network's ranges could not be read: the last known ranges stay in effect")]
        public static partial void NotRead(ILogger logger, Exception exception);
    }
}
