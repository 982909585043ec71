// SPDX-License-Identifier: Apache-2.0
using Serilog;
using Serilog.Events;
using Serilog.Formatting.Json;

namespace VpcCni.Ipamd.Observability;

/// <summary>Where log lines go: one JSON object a line, to a file that is rotated, or to a standard stream.</summary>
internal static class DaemonLog
{
    private const long FileSizeLimitBytes = 100 * 1024 * 1024;
    private const int FilesKept = 5;

    /// <param name="target">A path, <c>stdout</c> or <c>stderr</c>.</param>
    /// <param name="level">Ours; frameworks below us only speak when something is wrong.</param>
    public static ILoggerFactory Create(string target, LogLevel level)
    {
        var formatter = new JsonFormatter(renderMessage: true);
        var configuration = new LoggerConfiguration()
            .MinimumLevel.Is(ToSerilog(level))
            .MinimumLevel.Override("Microsoft", LogEventLevel.Warning)
            .MinimumLevel.Override("Grpc", LogEventLevel.Warning);
        configuration = target switch
        {
            "stdout" => configuration.WriteTo.Console(formatter),
            "stderr" => configuration.WriteTo.Console(formatter, standardErrorFromLevel: LogEventLevel.Verbose),
            _ => configuration.WriteTo.File(formatter, target, fileSizeLimitBytes: FileSizeLimitBytes, rollOnFileSizeLimit: true, retainedFileCountLimit: FilesKept),
        };
        return LoggerFactory.Create(builder => builder.SetMinimumLevel(level).AddSerilog(configuration.CreateLogger(), dispose: true));
    }

    private static LogEventLevel ToSerilog(LogLevel level) => level switch
    {
        LogLevel.Trace or LogLevel.Debug => LogEventLevel.Debug,
        LogLevel.Information => LogEventLevel.Information,
        LogLevel.Warning => LogEventLevel.Warning,
        LogLevel.Error => LogEventLevel.Error,
        _ => LogEventLevel.Fatal,
    };
}
