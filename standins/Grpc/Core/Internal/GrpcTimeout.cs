// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core.Internal;

/// <summary>
/// <c>grpc-timeout</c>: one to eight digits and a unit, H M S m u n (hours, minutes, seconds, milli-, micro-, nanoseconds). Source: grpc/doc/PROTOCOL-HTTP2.md, "Timeout".
/// </summary>
internal static class GrpcTimeout
{
    private const int MaxDigits = 8;
    private const long MaxNumber = 99_999_999;

    private static readonly (char Unit, long Ticks)[] Units =
    [
        ('u', TimeSpan.TicksPerMicrosecond),
        ('m', TimeSpan.TicksPerMillisecond),
        ('S', TimeSpan.TicksPerSecond),
        ('M', TimeSpan.TicksPerMinute),
        ('H', TimeSpan.TicksPerHour),
    ];

    /// <summary>
    /// How long a timer has to run so that it does not fire early: timers drop what is less than a millisecond. Infinite beyond their reach (about 24 days): such a
    /// deadline is passed on, but nothing fires.
    /// </summary>
    public static TimeSpan TimerDelay(TimeSpan remaining)
    {
        var milliseconds = Math.Ceiling(remaining.TotalMilliseconds);
        return milliseconds <= int.MaxValue ? TimeSpan.FromMilliseconds(milliseconds) : Timeout.InfiniteTimeSpan;
    }

    /// <summary>The finest unit that fits eight digits, rounded up so that the server never gives up before the client. Not positive: the shortest there is.</summary>
    public static string Format(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero) return "1n";
        foreach (var (unit, ticks) in Units)
        {
            var number = (timeout.Ticks / ticks) + (timeout.Ticks % ticks == 0 ? 0 : 1);
            if (number <= MaxNumber) return $"{number}{unit}";
        }

        return $"{MaxNumber}H";
    }

    public static bool TryParse(string text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > MaxDigits + 1) return false;
        long number = 0;
        foreach (var c in text.AsSpan(0, text.Length - 1))
        {
            if (!char.IsAsciiDigit(c)) return false;
            number = (number * 10) + (c - '0');
        }

        if (text[^1] == 'n')
        {
            // One tick is 100 ns; rounded up, so that a timeout of less than a tick is still later than now.
            timeout = new TimeSpan((number + 99) / 100);
            return true;
        }

        foreach (var (unit, ticks) in Units)
        {
            if (unit != text[^1]) continue;
            timeout = new TimeSpan(number * ticks);
            return true;
        }

        return false;
    }
}
