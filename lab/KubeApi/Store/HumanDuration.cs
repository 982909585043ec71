// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>Formats ages as kubectl does, with at most two units.</summary>
internal static class HumanDuration
{
    /// <summary>The age of a timestamp; <c>&lt;unknown&gt;</c> if it is empty or invalid.</summary>
    public static string Since(string timestamp, DateTimeOffset now) =>
        DateTimeOffset.TryParse(timestamp, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? Text(now - at)
            : "<unknown>";

    public static string Text(TimeSpan age)
    {
        var seconds = (long)age.TotalSeconds;
        if (seconds < -1)
            return "<invalid>";
        if (seconds < 0)
            return "0s";
        if (seconds < 120)
            return $"{seconds}s";
        var minutes = seconds / 60;
        if (minutes < 10)
            return Pair(minutes, "m", seconds % 60, "s");
        if (minutes < 180)
            return $"{minutes}m";
        var hours = minutes / 60;
        if (hours < 8)
            return Pair(hours, "h", minutes % 60, "m");
        if (hours < 48)
            return $"{hours}h";
        var days = hours / 24;
        if (hours < 24 * 8)
            return Pair(days, "d", hours % 24, "h");
        const int year = 365;
        if (days < year * 2)
            return $"{days}d";
        return days < year * 8 ? Pair(days / year, "y", days % year, "d") : $"{days / year}y";
    }

    private static string Pair(long large, string largeUnit, long small, string smallUnit) =>
        small == 0 ? $"{large}{largeUnit}" : $"{large}{largeUnit}{small}{smallUnit}";
}
