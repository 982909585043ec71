// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// The wall clock of one moment, carried on by the monotonic clock: setting the machine's clock later does not touch what is measured with
/// it (cooldowns, pauses, deadlines), in either direction. Right as long as the wall clock was right at the start; its drift since then is
/// that of the machine's oscillator.
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
