// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Tests.Shared;

/// <summary>The named values of a log entry as text, for loggers that keep what was logged.</summary>
internal static class LogFields
{
    /// <summary>The message, then ` name=value` for each value.</summary>
    public static string Text<TState>(TState state, Func<TState, Exception?, string> formatter)
    {
        var fields = state is IReadOnlyList<KeyValuePair<string, object?>> values
            ? string.Concat(values.Where(static pair => pair.Key != "{OriginalFormat}").Select(static pair => $" {pair.Key}={pair.Value}"))
            : "";
        return formatter(state, null) + fields;
    }
}
