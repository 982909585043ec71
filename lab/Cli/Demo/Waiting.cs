// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Paths;

namespace VpcCni.Lab.Cli.Demo;

/// <summary>Polls until a condition holds.</summary>
internal static class Waiting
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    /// <param name="condition">The condition; evaluated about every 50 ms.</param>
    /// <param name="failure">The problem, for the exception's message: <c>{failure} within 20 s</c>.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <exception cref="CheckFailedException">The condition did not hold within 20 s.</exception>
    public static async Task UntilAsync(Func<Task<bool>> condition, string failure, TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (!await condition())
        {
            if (time.GetElapsedTime(started) > Timeout)
                throw new CheckFailedException($"{failure} within {Timeout.TotalSeconds} s");
            await Task.Delay(PollInterval, time, cancellationToken);
        }
    }
}
