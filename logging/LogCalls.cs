// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.Logging;

/// <summary>Opens log files, and describes in their terms why that failed.</summary>
internal static class LogCalls
{
    /// <summary>Opens or creates the file; never waits for the reader of a FIFO, and follows no link.</summary>
    public static SafeFileHandle? OpenForAppend(string path, out int errno)
    {
        const int readableByOwnerAndGroup = 0x1A0; // 0640
        const int flags = FileCalls.O_WRONLY | FileCalls.O_CREAT | FileCalls.O_APPEND | FileCalls.O_NONBLOCK;
        return FileCalls.TryOpen(FileCalls.AT_FDCWD, path, flags, out errno, readableByOwnerAndGroup);
    }

    /// <summary>Returns the length of a regular file; null for anything else, whose type is in <paramref name="type"/>.</summary>
    public static long? RegularLength(SafeFileHandle file, out string type)
    {
        var known = FileCalls.TryStatus(file, out var status) == 0;
        type = (known ? status.Type : 0) switch
        {
            FileCalls.S_IFIFO => "FIFO",
            FileCalls.S_IFCHR => "character device",
            FileCalls.S_IFDIR => "directory",
            FileCalls.S_IFBLK => "block device",
            FileCalls.S_IFREG => "regular file",
            FileCalls.S_IFSOCK => "socket",
            _ => "file of unknown type",
        };
        return known && status.Type == FileCalls.S_IFREG ? status.Length : null;
    }

    /// <summary>Describes the errno of a failed open of a log file.</summary>
    public static string DescribeOpen(int errno) =>
        errno is FileCalls.EISDIR or FileCalls.ELOOP or FileCalls.ENXIO
            ? $"{FileCalls.Describe(errno)}, expected a regular file"
            : $"open: {FileCalls.Describe(errno)}";
}
