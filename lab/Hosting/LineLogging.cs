// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Hosting;

/// <summary>Writes log entries of level Warning and above as lines of text: time, level, category, message and exception.</summary>
internal sealed class LineLogging(TextWriter writer, TimeProvider time) : ILoggerProvider
{
    private readonly TextWriter _writer = TextWriter.Synchronized(writer);

    public ILogger CreateLogger(string categoryName) => new LineLogger(_writer, time, categoryName);

    public void Dispose() => _writer.Flush();

    private sealed class LineLogger(TextWriter writer, TimeProvider time, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel is >= LogLevel.Warning and not LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            if (!IsEnabled(logLevel))
                return;
            writer.WriteLine(
                $"{time.GetUtcNow():HH:mm:ss.fff} {logLevel} {category}: "
                    + $"{formatter(state, exception)}{(exception is null ? "" : $"\n{exception}")}"
            );
            writer.Flush();
        }
    }
}
