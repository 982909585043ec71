// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Logging;

namespace VpcCni.Shim;

/// <summary>Ordered; the names are those of the AWS plugin's <c>pluginLogLevel</c>, of which FATAL and PANIC mean ERROR here.</summary>
internal enum PluginLogLevel
{
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
    Panic,
}

/// <summary>
/// One line an entry, in the format that the daemon has too (docs/logs.md), to a file or to stderr, never to stdout. Many plugin
/// processes share the file. A log that cannot be written neither fails nor delays a pod: the lines go to stderr, after one about the
/// file.
/// </summary>
internal sealed class PluginLog(Stream stderr, TimeProvider time) : IDisposable
{
    /// <summary>Above this size the file is moved to <c>.1</c> (which is replaced), so two files of this size are the bound.</summary>
    private const long RotateAt = 32 * 1024 * 1024;

    private LogLine _line = new(LogFormat.Text);
    private LogFile? _file;
    private PluginLogLevel _level = PluginLogLevel.Warn;
    private Invocation? _invocation;
    private bool _isStderrGone;

    /// <summary>Sets the call whose fields every line has.</summary>
    public void Describe(Invocation invocation) => _invocation = invocation;

    public void Configure(NetworkConfig config)
    {
        _level = config.LogLevel > PluginLogLevel.Error ? PluginLogLevel.Error : config.LogLevel;
        _line = new LogLine(config.LogFormat);
        _file?.Dispose();
        _file = config.LogFile.Length > 0 ? new LogFile(config.LogFile, RotateAt, kept: 1) : null;
    }

    public bool IsEnabled(PluginLogLevel level) => level >= _level;

    public void Debug(string message, params ReadOnlySpan<PluginLogField> fields) => Write(PluginLogLevel.Debug, message, fields);

    public void Info(string message, params ReadOnlySpan<PluginLogField> fields) => Write(PluginLogLevel.Info, message, fields);

    public void Warn(string message, params ReadOnlySpan<PluginLogField> fields) => Write(PluginLogLevel.Warn, message, fields);

    public void Error(string message, params ReadOnlySpan<PluginLogField> fields) => Write(PluginLogLevel.Error, message, fields);

    /// <summary>Logs a failure with its text, and its stack if it is a defect.</summary>
    public void Error(string message, Exception failure, params ReadOnlySpan<PluginLogField> fields) =>
        Write(PluginLogLevel.Error, message, fields, failure);

    public void Dispose() => _file?.Dispose();

    private void Write(PluginLogLevel level, string message, ReadOnlySpan<PluginLogField> fields, Exception? failure = null)
    {
        if (!IsEnabled(level))
            return;
        var line = Format(level, message, fields, failure);
        if (_file is null)
        {
            WriteToStderr(line);
            return;
        }
        if (_file.TryWrite(line) is not { } problem)
            return;
        var path = _file.Path;
        _file.Dispose();
        _file = null;
        const string notice = "the log file cannot be written, so this call logs to stderr: correct pluginLogFile";
        WriteToStderr(Format(PluginLogLevel.Warn, notice, [("file", path), (FieldNames.Error, problem)]));
        WriteToStderr(Format(level, message, fields, failure));
    }

    private void WriteToStderr(ReadOnlySpan<byte> line)
    {
        if (_isStderrGone)
            return;
        try
        {
            stderr.Write(line);
        }
        catch (IOException)
        {
            // The runtime closed stderr or does not read it. Another wait would delay the pod.
            _isStderrGone = true;
        }
    }

    private ReadOnlySpan<byte> Format(PluginLogLevel level, string message, ReadOnlySpan<PluginLogField> fields, Exception? failure = null)
    {
        _line.Start(time.GetUtcNow(), NameOf(level), message);
        if (_invocation is { } call)
        {
            _line.Add(FieldNames.Command, call.Command.ToString().ToUpperInvariant());
            if (call.Pod.Name.Length > 0)
                _line.Add(FieldNames.Pod, $"{call.Pod.Namespace}/{call.Pod.Name}");
            _line.Add(FieldNames.ContainerId, call.ContainerId);
            _line.Add(FieldNames.InterfaceName, call.InterfaceName);
        }
        foreach (var (name, text, number) in fields)
        {
            if (number is { } value)
                _line.Add(name, value);
            else
                _line.Add(name, text);
        }

        if (failure is CniException or RpcException or IOException or UnauthorizedAccessException or TimeoutException)
        {
            var words = failure is RpcException { Status: var status } ? $"{status.StatusCode}: {status.Detail}" : failure.Message;
            _line.Add(FieldNames.Error, words);
        }
        else if (failure is not null)
        {
            _line.Add(FieldNames.Error, $"{failure.GetType().Name}: {failure.Message}");
            _line.Add(FieldNames.Stack, failure.StackTrace, LogLimits.Stack);
        }
        return _line.End();
    }

    private static string NameOf(PluginLogLevel level) =>
        level switch
        {
            PluginLogLevel.Debug => "debug",
            PluginLogLevel.Info => "info",
            PluginLogLevel.Warn => "warn",
            _ => "error",
        };
}
