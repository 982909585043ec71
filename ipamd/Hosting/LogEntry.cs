// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using System.Globalization;
using System.Net.Sockets;
using Grpc.Core;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Writes a log entry as a line. Values become fields under their names in code, except those that the message contains; an attachment
/// becomes several fields. An expected failure is written with its message, kind and request id; any other exception with its type and
/// stack.
/// </summary>
internal static class LogEntry
{
    private const string OriginalFormat = "{OriginalFormat}";

    public static void Write(
        LogLine line,
        DateTimeOffset time,
        LogLevel level,
        string message,
        IReadOnlyList<KeyValuePair<string, object?>>? state,
        Exception? exception
    )
    {
        line.Start(time, NameOf(level), message);
        if (state is not null)
        {
            var template = state.Count > 0 && state[^1] is { Key: OriginalFormat, Value: string text } ? text : "";
            foreach (var (name, value) in state)
                if (name != OriginalFormat && !HasPlaceholder(template, name))
                    Add(line, name, value);
        }

        if (exception is not null)
            Add(line, exception);
    }

    private static string NameOf(LogLevel level) =>
        level switch
        {
            LogLevel.Trace or LogLevel.Debug => "debug",
            LogLevel.Information => "info",
            LogLevel.Warning => "warn",
            LogLevel.Error => "error",
            _ => "fatal",
        };

    /// <summary>Whether the template has a placeholder of that name.</summary>
    private static bool HasPlaceholder(string template, string name)
    {
        for (var at = template.IndexOf('{', StringComparison.Ordinal); at >= 0; at = template.IndexOf('{', at + 1))
        {
            var rest = template.AsSpan(at + 1);
            if (!rest.StartsWith(name, StringComparison.Ordinal))
                continue;
            if (rest.Length > name.Length && rest[name.Length] is '}' or ':')
                return true;
        }

        return false;
    }

    private static void Add(LogLine line, string name, object? value)
    {
        switch (value)
        {
            case null:
                break;
            case ILogFields fields:
                fields.AddTo(line, name);
                break;
            case string text:
                line.Add(name, text);
                break;
            case bool flag:
                line.Add(name, flag);
                break;
            case int number:
                line.Add(name, number);
                break;
            case long number:
                line.Add(name, number);
                break;
            case double number:
                line.Add(name, number);
                break;
            case DateTimeOffset at:
                line.Add(name, at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
                break;
            case IFormattable formattable:
                line.Add(name, formattable.ToString(null, CultureInfo.InvariantCulture));
                break;
            case IEnumerable list:
                line.Add(name, string.Join(',', list.Cast<object?>()));
                break;
            default:
                line.Add(name, value.ToString());
                break;
        }
    }

    private static void Add(LogLine line, Exception exception)
    {
        var expected = IsExpected(exception);
        line.Add(FieldNames.Error, expected ? MessageOf(exception) : $"{exception.GetType().Name}: {MessageOf(exception)}");
        if (exception is IExpectedFailure failure)
        {
            line.Add(FieldNames.Kind, failure.FailureKind);
            line.Add("requestId", failure.RequestId);
        }

        if (!expected)
            line.Add(FieldNames.Stack, exception.StackTrace, LogLimits.Stack);
    }

    /// <summary>Whether an exception is broken I/O or a rejection by another program; anything else is a defect.</summary>
    public static bool IsExpected(Exception exception) =>
        exception switch
        {
            AggregateException several => several.InnerExceptions.All(IsExpected),
            IExpectedFailure
            or IOException
            or UnauthorizedAccessException
            or SocketException
            or TimeoutException
            or HttpRequestException
            or RpcException
            or OperationCanceledException => true,
            _ => false,
        };

    /// <summary>
    /// Returns the messages of an exception and its causes, each once. A cause whose message is only its type's name is left out, as the
    /// SDK's below a rejection by the cloud.
    /// </summary>
    public static string MessageOf(Exception exception)
    {
        if (exception is AggregateException several)
            return string.Join("; ", several.InnerExceptions.Take(5).Select(MessageOf));
        var message = exception is RpcException { Status: var status } ? $"{status.StatusCode}: {status.Detail}" : exception.Message;
        for (var (inner, depth) = (exception.InnerException, 0); inner is not null && depth < 5; inner = inner.InnerException, depth++)
            if (!message.Contains(inner.Message, StringComparison.Ordinal) && !IsDefaultMessage(inner))
                message = $"{message}: {inner.Message}";
        return message;
    }

    /// <summary>Whether .NET supplied the message.</summary>
    private static bool IsDefaultMessage(Exception exception) =>
        exception.Message.Contains(exception.GetType().FullName!, StringComparison.Ordinal);
}
