// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// The daemon's log: connects the framework's loggers to a <see cref="LogTarget"/>, one line per entry (docs/logs.md). Thread-safe; an
/// entry is written before the call returns.
/// </summary>
internal sealed class DaemonLog : ILoggerProvider
{
    private readonly Lock _gate = new();
    private readonly LogTarget _target;
    private readonly LogLine _line;
    private readonly TimeProvider _time;

    public DaemonLog(LogTarget target, LogFormat format, TimeProvider time) =>
        (_target, _line, _time) = (target, new LogLine(format), time);

    /// <summary>Why the log is not written to its file; null if it is.</summary>
    public string? Problem => _target.Problem;

    /// <param name="level">Level of the daemon's own entries; frameworks log warnings and errors only.</param>
    public ILoggerFactory CreateFactory(LogLevel level) =>
        LoggerFactory.Create(builder =>
            builder.SetMinimumLevel(level).AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning).AddProvider(this)
        );

    public ILogger CreateLogger(string categoryName) => new EntryLogger(this);

    public void Dispose()
    {
        lock (_gate)
            _target.Dispose();
    }

    private void Write<TState>(LogLevel level, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_gate)
        {
            var values = state as IReadOnlyList<KeyValuePair<string, object?>>;
            LogEntry.Write(_line, _time.GetUtcNow(), level, formatter(state, null), values, exception);
            _target.Write(_line.End());
        }
    }

    private sealed class EntryLogger(DaemonLog log) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            if (IsEnabled(logLevel))
                log.Write(logLevel, state, exception, formatter);
        }
    }
}
