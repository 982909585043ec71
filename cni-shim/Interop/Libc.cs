// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.Shim.Interop;

/// <summary>System calls that only the plugin makes.</summary>
internal static partial class Libc
{
    private const int EINTR = 4;

    /// <summary>One pread(2) at offset 0, which leaves the file's position alone. Returns the number of octets; -1 on any error.</summary>
    public static unsafe int ReadStart(SafeFileHandle file, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                var read = (int)ReadFileAt(file, start, buffer.Length, 0);
                if (read >= 0 || Marshal.GetLastPInvokeError() != EINTR)
                    return read;
            }
        }
    }

    /// <summary>Sleeps.</summary>
    public static void Pause(TimeSpan duration) => FileCalls.Wait(descriptor: -1, events: 0, (int)duration.TotalMilliseconds);

    // ssize_t pread(int fd, void *buf, size_t count, off_t offset);
    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static unsafe partial nint ReadFileAt(SafeFileHandle file, byte* buffer, nint count, nint offset);
}
