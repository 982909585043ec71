// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using VpcCni.Netlink;
using VpcCni.SystemCalls;

namespace VpcCni.Shim.Interop;

/// <summary>
/// A connected Unix stream socket with a bound on every wait. The framework's Socket would start an event loop and a thread. Failures are
/// <see cref="IOException"/>, an expired wait <see cref="TimeoutException"/>.
/// </summary>
internal sealed partial class UnixSocket : IDisposable
{
    private const int AF_UNIX = 1;
    private const int SOCK_STREAM = 1;
    private const int SOCK_NONBLOCK = 0x800;
    private const int SOCK_CLOEXEC = 0x80000;
    private const int MSG_NOSIGNAL = 0x4000;
    private const int SunPathBytes = 108;
    private const int EAGAIN = 11;
    private const int EINTR = 4;

    private readonly SafeFileHandle _handle;

    private UnixSocket(SafeFileHandle handle) => _handle = handle;

    /// <summary>
    /// Connects. A Unix socket connects at once or fails; EAGAIN, a full backlog of the listener, is retried until the timeout.
    /// </summary>
    public static unsafe UnixSocket Connect(string path, TimeSpan timeout)
    {
        // struct sockaddr_un: sa_family_t sun_family; char sun_path[108];
        Span<byte> address = stackalloc byte[2 + SunPathBytes];
        address.Clear();
        address[0] = AF_UNIX;
        if (Encoding.UTF8.GetByteCount(path) >= SunPathBytes)
            throw new IOException($"{path}: longer than a Unix socket's path can be");
        Encoding.UTF8.GetBytes(path, address[2..]);

        var handle = Open(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        var errno = handle.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        for (var waited = TimeSpan.Zero; errno == 0; waited += RetryEvery)
        {
            fixed (byte* start = address)
            {
                if (Connect(handle, start, address.Length) == 0)
                    return new UnixSocket(handle);
            }
            var refused = Marshal.GetLastPInvokeError();
            if (refused is not (EAGAIN or EINTR))
                errno = refused;
            else if (waited >= timeout)
                errno = EAGAIN;
            else
                Libc.Pause(RetryEvery);
        }
        handle.Dispose();
        throw errno == EAGAIN
            ? new TimeoutException($"connect to {path}: the listener does not accept")
            : new ConnectException(
                $"connect to {path}: {NameOf(errno)}",
                isNobodyThere: (Errno)errno is Errno.ENOENT or Errno.ECONNREFUSED
            );
    }

    public unsafe void Send(ReadOnlySpan<byte> bytes, TimeSpan timeout)
    {
        while (!bytes.IsEmpty)
        {
            nint sent;
            fixed (byte* start = bytes)
                sent = Send(_handle, start, bytes.Length, MSG_NOSIGNAL);
            if (sent >= 0)
                bytes = bytes[(int)sent..];
            else
                WaitAfter(Marshal.GetLastPInvokeError(), "send", FileCalls.POLLOUT, timeout);
        }
    }

    /// <summary>Receives at least one byte; returns 0 at the end.</summary>
    public unsafe int Receive(Span<byte> buffer, TimeSpan timeout)
    {
        while (true)
        {
            nint read;
            fixed (byte* start = buffer)
                read = Receive(_handle, start, buffer.Length, 0);
            if (read >= 0)
                return (int)read;
            WaitAfter(Marshal.GetLastPInvokeError(), "receive", FileCalls.POLLIN, timeout);
        }
    }

    public void Dispose() => _handle.Dispose();

    private static TimeSpan RetryEvery => TimeSpan.FromMilliseconds(5);

    private void WaitAfter(int errno, string call, short events, TimeSpan timeout)
    {
        if (errno == EINTR)
            return;
        if (errno != EAGAIN)
            throw new IOException($"{call}: {NameOf(errno)}");
        if (!FileCalls.Wait((int)_handle.DangerousGetHandle(), events, (int)Math.Min(timeout.TotalMilliseconds + 1, int.MaxValue)))
            throw new TimeoutException($"{call}: no progress until the deadline");
    }

    private static string NameOf(int errno) => Enum.IsDefined((Errno)errno) ? ((Errno)errno).ToString() : $"errno {errno}";

    // int socket(int domain, int type, int protocol);
    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial SafeFileHandle Open(int domain, int type, int protocol);

    // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static unsafe partial int Connect(SafeFileHandle socket, byte* address, int length);

    // ssize_t send(int sockfd, const void *buf, size_t len, int flags);
    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static unsafe partial nint Send(SafeFileHandle socket, byte* bytes, nint count, int flags);

    // ssize_t recv(int sockfd, void *buf, size_t len, int flags);
    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static unsafe partial nint Receive(SafeFileHandle socket, byte* buffer, nint count, int flags);
}

/// <summary>A connection could not be opened.</summary>
/// <param name="message">The path and the error.</param>
/// <param name="isNobodyThere">
/// There is no socket, or nobody listens on it; else somebody is in the way: permissions, a path that is no socket.
/// </param>
internal sealed class ConnectException(string message, bool isNobodyThere) : IOException(message)
{
    public bool IsNobodyThere => isNobodyThere;
}
