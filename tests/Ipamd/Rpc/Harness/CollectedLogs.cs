// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using VpcCni.Tests.Shared;

namespace VpcCni.Tests.GrpcHarness;

/// <summary>Collects the log of the server.</summary>
internal sealed class CollectedLogs : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text, Exception? Error)> _entries = new();

    public IReadOnlyList<(LogLevel Level, string Text, Exception? Error)> Entries => [.. _entries];

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter
    )
    {
        if (IsEnabled(logLevel))
            _entries.Enqueue((logLevel, LogFields.Text(state, formatter), exception));
    }

    public void Dispose() { }
}
