// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Clock that starts at the current wall-clock time and then follows the monotonic clock, so that setting the machine's clock does not
/// affect cooldowns, pauses or deadlines. It is as accurate as the wall clock was at the start, plus the drift of the machine's oscillator
/// since.
/// </summary>
internal sealed class MonotonicTime(TimeProvider inner) : TimeProvider
{
    private readonly DateTimeOffset _anchor = inner.GetUtcNow();
    private readonly long _anchoredAt = inner.GetTimestamp();

    public override long TimestampFrequency => inner.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => inner.LocalTimeZone;

    public override DateTimeOffset GetUtcNow() => _anchor + inner.GetElapsedTime(_anchoredAt);

    public override long GetTimestamp() => inner.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        inner.CreateTimer(callback, state, dueTime, period);
}
