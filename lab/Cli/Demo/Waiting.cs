// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Paths;

namespace VpcCni.Lab.Cli.Demo;

/// <summary>Waits for what a daemon does in its own time.</summary>
internal static class Waiting
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    /// <exception cref="CheckFailedException">The condition did not come true in time.</exception>
    public static async Task UntilAsync(
        Func<Task<bool>> condition,
        string otherwise,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        var started = time.GetTimestamp();
        while (!await condition())
        {
            if (time.GetElapsedTime(started) > Patience)
                throw new CheckFailedException($"{otherwise} within {Patience.TotalSeconds} s");
            await Task.Delay(Poll, time, cancellationToken);
        }
    }
}
