// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Shim.Interop;

/// <summary>
/// System calls without an equivalent in .NET: a write that neither creates nor truncates (sysctl), and a wait with a deadline.
/// </summary>
internal static partial class Libc
{
    public const int O_RDONLY = 0x0;
    public const int O_RDWR = 0x2;
    public const int O_CLOEXEC = 0x80000;
    public const short POLLIN = 0x1;
    public const short POLLOUT = 0x4;

    private const int EINTR = 4;

    [StructLayout(LayoutKind.Sequential)]
    private struct PollFd
    {
        public int Fd;
        public short Events;
        public short Returned;
    }

    /// <summary>Opens an existing file. Returns null and the reason in <paramref name="errno"/> if that fails.</summary>
    public static SafeFileHandle? TryOpen(string path, int flags, out int errno)
    {
        SafeFileHandle handle;
        do
        {
            handle = OpenFile(path, flags | O_CLOEXEC);
            errno = handle.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        } while (errno == EINTR);
        if (!handle.IsInvalid)
            return handle;
        handle.Dispose();
        return null;
    }

    /// <summary>One write(2). Returns an errno, or 0.</summary>
    public static unsafe int Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, out int written)
    {
        fixed (byte* start = bytes)
        {
            while (true)
            {
                written = (int)WriteFile(file, start, bytes.Length);
                if (written >= 0)
                    return 0;
                var errno = Marshal.GetLastPInvokeError();
                if (errno != EINTR)
                    return errno;
            }
        }
    }

    /// <summary>One read(2); 0 at the end. A closed or broken descriptor is an <see cref="IOException"/>.</summary>
    public static unsafe int Read(SafeFileHandle file, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                var read = ReadFile(file, start, buffer.Length);
                if (read >= 0)
                    return (int)read;
                var errno = Marshal.GetLastPInvokeError();
                if (errno != EINTR)
                    throw new IOException($"read: errno {errno}");
            }
        }
    }

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

    /// <summary>
    /// Waits until the descriptor is ready: data, room, end of file or an error. False after <paramref name="timeoutMilliseconds"/>.
    /// </summary>
    public static unsafe bool Wait(int fd, short events, int timeoutMilliseconds)
    {
        var poll = new PollFd { Fd = fd, Events = events };
        while (true)
        {
            var ready = PollFds(&poll, 1, timeoutMilliseconds);
            if (ready >= 0)
                return ready > 0;
            // A signal restarts the whole wait, because the bound need not be exact.
            if (Marshal.GetLastPInvokeError() != EINTR)
                return true;
        }
    }

    /// <summary>Sleeps.</summary>
    public static unsafe void Pause(TimeSpan duration) => _ = PollFds(null, 0, (int)duration.TotalMilliseconds);

    // int open(const char *pathname, int flags);
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenFile(string path, int flags);

    // ssize_t read(int fd, void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static unsafe partial nint ReadFile(SafeFileHandle file, byte* buffer, nint count);

    // ssize_t pread(int fd, void *buf, size_t count, off_t offset);
    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static unsafe partial nint ReadFileAt(SafeFileHandle file, byte* buffer, nint count, nint offset);

    // ssize_t write(int fd, const void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint WriteFile(SafeFileHandle file, byte* bytes, nint count);

    // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static unsafe partial int PollFds(PollFd* fds, nuint count, int timeout);
}
