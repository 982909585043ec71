// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.Logging;

/// <summary>
/// A log file in append mode that several processes may share: each line is one write(2), so lines do not mix. It must be a regular file,
/// and not a symbolic link; opening it never blocks, as a FIFO without a reader, a device or a socket could. Never throws. Not thread-safe.
/// </summary>
/// <param name="path">Absolute path. A missing folder is created.</param>
/// <param name="rotateAt">Size in bytes at which the file is renamed to <c>.1</c>, and older files to the next number.</param>
/// <param name="kept">Number of renamed files to keep.</param>
public sealed class LogFile(string path, long rotateAt, int kept) : IDisposable
{
    private SafeFileHandle? _file;
    private long _length;

    public string Path => path;

    /// <summary>Writes a line. Returns null, or why it was not written.</summary>
    public string? TryWrite(ReadOnlySpan<byte> line)
    {
        if ((_file is null || _length >= rotateAt) && OpenOrRotate() is { } problem)
            return problem;
        var errno = FileCalls.Write(_file!, line, out var written);
        if (errno == 0 && written == line.Length)
        {
            _length += written;
            return null;
        }
        Dispose();
        return errno == 0 ? "the disk is full" : $"write: {FileCalls.Describe(errno)}";
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
        // Two processes may rotate at the same time; the second then overwrites an older file with a nearly empty one. That loses lines,
        // never a pod.
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
        if (file is null && errno == FileCalls.ENOENT)
        {
            if (CreateFolder() is { } problem)
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

    private string? CreateFolder()
    {
        try
        {
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path) ?? "/");
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return $"its folder does not exist and cannot be created: {exception.Message}";
        }
    }
}
