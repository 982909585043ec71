// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.History;

/// <summary>Formats durations for people.</summary>
internal static class DurationText
{
    /// <summary>Formats with at most two units: 1.4 ms, 3.2 s, 4m05s, 3h12m, 5d02h. Negative values become 0 s.</summary>
    public static string Of(TimeSpan span) =>
        span switch
        {
            { Ticks: < 0 } => "0 s",
            { TotalMilliseconds: < 10 } => $"{span.TotalMilliseconds:0.0} ms",
            { TotalSeconds: < 1 } => $"{span.TotalMilliseconds:0} ms",
            { TotalMinutes: < 1 } => $"{span.TotalSeconds:0.0} s",
            { TotalHours: < 1 } => $"{span.Minutes}m{span.Seconds:00}s",
            { TotalDays: < 1 } => $"{span.Hours}h{span.Minutes:00}m",
            _ => $"{(int)span.TotalDays}d{span.Hours:00}h",
        };

    public static string Ago(TimeSpan span) => $"{Of(span)} ago";
}
