// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using VpcCni.Tests.Shared;

namespace VpcCni.Simulation.Tests;

/// <summary>Writes the daemon's log to the trace, and reports what the daemon logs as a defect.</summary>
internal sealed class TraceLogger(Trace trace, DaemonRun run, Action<string> onDefect) : ILoggerFactory, ILogger
{
    /// <summary>PoolLoop: a step failed unexpectedly.</summary>
    private const int StepFailed = 50;

    /// <summary>Supervisor: a background service failed unexpectedly.</summary>
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
        // The remaining stack of a killed daemon logs nothing.
        if (!run.IsAlive)
            return;
        trace.Add($"{run.Name}: {LogFields.Text(state, formatter)}{(exception is null ? "" : $": {exception.Message}")}");
        if (eventId.Id is StepFailed or PartFailed)
            onDefect($"{LogFields.Text(state, formatter)}: {exception}");
    }

    public void Dispose() { }
}
