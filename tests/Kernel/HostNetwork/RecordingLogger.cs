// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using VpcCni.Tests.Shared;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>Records each entry as one line: level, text with fields, exception. Thread-safe.</summary>
internal sealed class RecordingLogger<T>(ConcurrentQueue<string> lines) : ILogger<T>
{
    public RecordingLogger()
        : this(new ConcurrentQueue<string>()) { }

    public ConcurrentQueue<string> Lines => lines;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter
    ) => lines.Enqueue($"{logLevel} {LogFields.Text(state, formatter)} {exception}");
}
