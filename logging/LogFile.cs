// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Logging;

/// <summary>
/// A log file in append mode, which several processes may share: each line is one write(2), so lines do not mix. Only a regular file that
/// is no symbolic link will do, and opening it never waits: a FIFO without a reader, a device or a socket would hang the writer. Nothing
/// here throws. Not thread-safe.
/// </summary>
/// <param name="path">Absolute. The folder is made when it is missing.</param>
/// <param name="rotateAt">Bytes. A file that has as many is renamed to <c>.1</c>, and the older ones are moved along.</param>
/// <param name="kept">Renamed files that are kept beside the one in use.</param>
public sealed class LogFile(string path, long rotateAt, int kept) : IDisposable
{
    private SafeFileHandle? _file;
    private long _length;

    public string Path => path;

    /// <summary>Null when the line is in the file; otherwise why it is not.</summary>
    public string? TryWrite(ReadOnlySpan<byte> line)
    {
        if ((_file is null || _length >= rotateAt) && OpenOrRotate() is { } problem)
            return problem;
        var errno = LogCalls.Write(_file!, line, out var written);
        if (errno == 0 && written == line.Length)
        {
            _length += written;
            return null;
        }
        Dispose();
        return errno == 0 ? "the disk is full" : $"write: {LogCalls.Describe(errno)}";
    }

    public void Dispose()
    {
        _file?.Dispose();
        _file = null;
    }

    private string? OpenOrRotate()
    {
        Dispose();
        if (Open() is { } problem)
            return problem;
        if (_length < rotateAt)
            return null;
        Dispose();
        // Two processes may both get here: the second moves a nearly empty file over an older one. That loses lines, never a pod.
        return Rotate() ?? Open();
    }

    private string? Rotate()
    {
        try
        {
            for (var number = kept - 1; number >= 1; number--)
                if (File.Exists($"{path}.{number}"))
                    File.Move($"{path}.{number}", $"{path}.{number + 1}", overwrite: true);
            if (File.Exists(path))
                File.Move(path, $"{path}.1", overwrite: true);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return $"rotate: {exception.Message}";
        }
    }

    private string? Open()
    {
        var file = LogCalls.OpenForAppend(path, out var errno);
        if (file is null && errno == LogCalls.ENOENT)
        {
            if (MakeFolder() is { } problem)
                return problem;
            file = LogCalls.OpenForAppend(path, out errno);
        }
        if (file is null)
            return LogCalls.DescribeOpen(errno);
        if (LogCalls.RegularLength(file, out var type) is not { } length)
        {
            file.Dispose();
            return $"it is a {type}, expected a regular file";
        }
        (_file, _length) = (file, length);
        return null;
    }

    private string? MakeFolder()
    {
        try
        {
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path) ?? "/");
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return $"its folder does not exist and cannot be made: {exception.Message}";
        }
    }
}
