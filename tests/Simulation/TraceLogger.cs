// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using VpcCni.Tests.Shared;

namespace VpcCni.Simulation.Tests;

/// <summary>The daemon's log as part of the trace. What the daemon itself calls a defect is one.</summary>
internal sealed class TraceLogger(Trace trace, DaemonRun incarnation, Action<string> onDefect) : ILoggerFactory, ILogger
{
    /// <summary>PoolLoop: a step failed in a way that nobody foresaw.</summary>
    private const int StepFailed = 50;

    /// <summary>Supervisor: the same of what runs beside it.</summary>
    private const int PartFailed = 124;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter
    )
    {
        // The rest of a stack that is being killed writes to nobody.
        if (!incarnation.IsAlive)
            return;
        trace.Add($"{incarnation.Name}: {LogFields.Text(state, formatter)}{(exception is null ? "" : $": {exception.Message}")}");
        if (eventId.Id is StepFailed or PartFailed)
            onDefect($"{LogFields.Text(state, formatter)}: {exception}");
    }

    public void Dispose() { }
}
