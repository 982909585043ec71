// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using VpcCni.Shim.Interop;

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
/// One JSON object a line, to a file or to stderr, never to stdout. Many plugin processes share the file: each line is one write in append mode, so that lines do not mix.
/// A log that cannot be written is no reason to fail a pod: its errors are dropped, after one line about them on stderr.
/// </summary>
internal sealed class PluginLog(Stream stderr, TimeProvider time) : IDisposable
{
    /// <summary>Above this size the file is moved to <c>.1</c> (which is replaced), so two files of this size are the bound.</summary>
    private const long RotateAt = 32 * 1024 * 1024;

    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private SafeFileHandle? _file;
    private string _path = "";
    private PluginLogLevel _level = PluginLogLevel.Warn;
    private Invocation? _invocation;

    /// <summary>The call that the lines are about.</summary>
    public void Describe(Invocation invocation) => _invocation = invocation;

    public void Configure(NetworkConfig config)
    {
        _level = config.LogLevel > PluginLogLevel.Error ? PluginLogLevel.Error : config.LogLevel;
        _path = config.LogFile;
    }

    public bool IsEnabled(PluginLogLevel level) => level >= _level;

    public void Debug(string message) => Write(PluginLogLevel.Debug, message);
    public void Info(string message) => Write(PluginLogLevel.Info, message);
    public void Warn(string message, Exception? exception = null) => Write(PluginLogLevel.Warn, message, exception);
    public void Error(string message, Exception? exception = null) => Write(PluginLogLevel.Error, message, exception);

    public void Dispose() => _file?.Dispose();

    private void Write(PluginLogLevel level, string message, Exception? exception = null)
    {
        if (!IsEnabled(level)) return;
        var line = Format(level, message, exception);
        if (_path.Length == 0)
        {
            WriteToStderr(line);
            return;
        }
        try
        {
            _file ??= OpenFile();
            if (Libc.Write(_file, line, out _) is not 0 and var errno) throw new IOException($"write: errno {errno}");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            var path = _path;
            _path = "";
            WriteToStderr(Format(PluginLogLevel.Warn, $"cannot write the log file {path}, logging to stderr: {failure.Message}", null));
            WriteToStderr(line);
        }
    }

    private void WriteToStderr(byte[] line)
    {
        try
        {
            stderr.Write(line);
        }
        catch (IOException)
        {
            // The runtime closed stderr; there is nobody left to tell.
        }
    }

    private SafeFileHandle OpenFile()
    {
        var file = Open();
        if (RandomAccess.GetLength(file) < RotateAt) return file;
        file.Dispose();
        // Two processes may both get here: the second then moves a nearly empty file over the old one. That loses log lines, never a pod.
        File.Move(_path, _path + ".1", overwrite: true);
        return Open();
    }

    private SafeFileHandle Open()
    {
        const int flags = Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND;
        if (Libc.TryOpen(_path, flags, out _) is { } file) return file;
        Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
        return Libc.TryOpen(_path, flags, out var errno) ?? throw new IOException($"open: errno {errno}");
    }

    private byte[] Format(PluginLogLevel level, string message, Exception? exception)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            json.WriteString("level"u8, level.ToString().ToLowerInvariant());
            json.WriteString("ts"u8, time.GetUtcNow());
            json.WriteString("msg"u8, message);
            if (_invocation is { } call)
            {
                json.WriteString("command"u8, call.Command.ToString().ToUpperInvariant());
                if (call.ContainerId.Length > 0) json.WriteString("containerID"u8, call.ContainerId);
                if (call.InterfaceName.Length > 0) json.WriteString("ifName"u8, call.InterfaceName);
                if (call.Pod.Name.Length > 0) json.WriteString("pod"u8, $"{call.Pod.Namespace}/{call.Pod.Name}");
            }
            if (exception is not null) json.WriteString("error"u8, exception.ToString());
            json.WriteEndObject();
        }
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }
}
