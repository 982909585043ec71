// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Writes lines to a rotated file or a standard stream. While the file cannot be written, lines go to standard output, where <c>kubectl
/// logs</c> shows them, after a line that reports this; the file is retried once a minute. Only <see cref="Problem"/> is thread-safe.
/// </summary>
internal sealed class LogTarget : IDisposable
{
    private const long RotateAt = 100 * 1024 * 1024;
    private const int FilesKept = 4;
    private const string Unwritable = "the log file cannot be written: lines go to standard output, and the file is retried every minute";
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMinutes(1);

    private readonly LogFile? _file;
    private readonly LogStream _stream;
    private readonly LogLine _notice;
    private readonly TimeProvider _time;
    private volatile string? _problem;
    private DateTimeOffset _retryAt = DateTimeOffset.MinValue;
    private long _dropsReported;

    /// <param name="target">A path, <c>stdout</c> or <c>stderr</c>, or the device of one of the two.</param>
    public LogTarget(string target, LogFormat format, TimeProvider time)
        : this(
            IsStream(target) ? null : new LogFile(target, RotateAt, FilesKept),
            new LogStream(target is "stderr" or "/dev/stderr" ? 2 : 1),
            format,
            time
        ) { }

    internal LogTarget(LogFile? file, LogStream stream, LogFormat format, TimeProvider time) =>
        (_file, _stream, _notice, _time) = (file, stream, new LogLine(format), time);

    public string? Problem => _problem;

    public void Write(ReadOnlySpan<byte> line)
    {
        if (_file is null)
        {
            WriteToStream(line);
            return;
        }

        var now = _time.GetUtcNow();
        var failed = _problem is not null;
        if (failed && now < _retryAt)
        {
            WriteToStream(line);
            return;
        }

        if (_file.TryWrite(line) is { } problem)
        {
            _retryAt = now + RetryAfter;
            _problem = $"the log file {_file.Path} cannot be written ({problem}): lines go to standard output";
            if (!failed)
                WriteToStream(Notice("warn", Unwritable, ("file", _file.Path), (FieldNames.Error, problem)));
            WriteToStream(line);
        }
        else if (failed)
        {
            _problem = null;
            _file.TryWrite(Notice("info", "the log file can be written again; lines in between went to standard output"));
        }
    }

    public void Dispose() => _file?.Dispose();

    private static bool IsStream(string target) => target is "stdout" or "stderr" or "/dev/stdout" or "/dev/stderr";

    private void WriteToStream(ReadOnlySpan<byte> line)
    {
        var before = _stream.Dropped;
        _stream.Write(line);
        if (_stream.Dropped != before || before == _dropsReported)
            return;
        _stream.Write(Notice("warn", "lines were dropped because the stream was not read", ("count", $"{before - _dropsReported}")));
        _dropsReported = before;
    }

    private ReadOnlySpan<byte> Notice(string level, string message, params ReadOnlySpan<(string Name, string Value)> fields)
    {
        _notice.Start(_time.GetUtcNow(), level, message);
        foreach (var (name, value) in fields)
            _notice.Add(name, value);
        return _notice.End();
    }
}
