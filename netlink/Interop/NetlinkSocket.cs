// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Netlink.Interop;

/// <summary>
/// A netlink socket: sets its options, sends and receives datagrams, and does not parse them. It stays in the network namespace of the
/// thread that opened it. Failures are <see cref="NetlinkException"/>s that name the system call.
/// </summary>
internal sealed unsafe class NetlinkSocket : INetlinkTransport
{
    // Retries of a call that signals interrupt (EINTR).
    private const int MaxInterruptions = 1000;

    // Size of the receive queue for acknowledgements and notifications. When it is full, the kernel drops messages (ENOBUFS) and does not
    // block.
    private const int ReceiveQueueBytes = 1 << 20;

    private readonly SafeFileHandle _handle;

    private NetlinkSocket(SafeFileHandle handle, uint portId)
    {
        _handle = handle;
        PortId = portId;
    }

    public uint PortId { get; }

    /// <param name="groups">Multicast groups to join, as a bit mask: bit n-1 for group n.</param>
    /// <param name="receiveTimeout">Timeout of one receive; <see cref="Timeout.InfiniteTimeSpan"/> for a socket that is polled.</param>
    /// <param name="protocol">The netlink protocol: NETLINK_*.</param>
    public static NetlinkSocket Open(uint groups, TimeSpan receiveTimeout, int protocol = Libc.NETLINK_ROUTE)
    {
        var handle = Libc.Socket(Libc.AF_NETLINK, Libc.SOCK_RAW | Libc.SOCK_CLOEXEC, protocol);
        if (handle.IsInvalid)
            throw Failure("socket(AF_NETLINK)");
        try
        {
            // Error texts (Linux 4.12); acknowledgements without the payload of the request (4.3); filtered dumps (4.20).
            SetOption(handle, Libc.SOL_NETLINK, Libc.NETLINK_EXT_ACK, 1, "NETLINK_EXT_ACK");
            SetOption(handle, Libc.SOL_NETLINK, Libc.NETLINK_CAP_ACK, 1, "NETLINK_CAP_ACK");
            SetOption(handle, Libc.SOL_NETLINK, Libc.NETLINK_GET_STRICT_CHK, 1, "NETLINK_GET_STRICT_CHK");
            int queue = ReceiveQueueBytes;
            // SO_RCVBUFFORCE exceeds rmem_max and requires CAP_NET_ADMIN in the initial user namespace; SO_RCVBUF is capped at rmem_max.
            if (Libc.SetSockOpt(handle, Libc.SOL_SOCKET, Libc.SO_RCVBUFFORCE, &queue, sizeof(int)) != 0)
                SetOption(handle, Libc.SOL_SOCKET, Libc.SO_RCVBUF, queue, "SO_RCVBUF");
            if (receiveTimeout != Timeout.InfiniteTimeSpan)
                SetReceiveTimeout(handle, receiveTimeout);

            var address = new SockAddrNl { Family = Libc.AF_NETLINK, Groups = groups };
            if (Libc.Bind(handle, &address, SockAddrNl.Size) != 0)
                throw Failure("bind(AF_NETLINK)");
            uint length = SockAddrNl.Size;
            if (Libc.GetSockName(handle, &address, &length) != 0)
                throw Failure("getsockname(AF_NETLINK)");
            return new NetlinkSocket(handle, address.PortId);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    public void Send(ReadOnlySpan<byte> messages)
    {
        var kernel = new SockAddrNl { Family = Libc.AF_NETLINK };
        fixed (byte* start = messages)
        {
            for (int attempt = 0; ; attempt++)
            {
                nint sent = Libc.SendTo(_handle, start, (nuint)messages.Length, 0, &kernel, SockAddrNl.Size);
                if (sent == messages.Length)
                    return;
                // A netlink send is all or nothing; a partial send would be a kernel bug.
                if (sent >= 0)
                    throw new NetlinkException("netlink send", Errno.EMSGSIZE, $"the kernel accepted {sent} of {messages.Length} octets");
                if (LastErrno() != Errno.EINTR || attempt == MaxInterruptions)
                    throw Failure("netlink send");
            }
        }
    }

    public Datagram Receive(Span<byte> buffer) =>
        TryReceive(buffer, 0, out var datagram)
            ? datagram
            : throw new NetlinkException("netlink receive", Errno.ETIMEDOUT, "the kernel did not answer within the receive timeout");

    public bool TryReceive(Span<byte> buffer, out Datagram datagram) => TryReceive(buffer, Libc.MSG_DONTWAIT, out datagram);

    private bool TryReceive(Span<byte> buffer, int flags, out Datagram datagram)
    {
        SockAddrNl sender = default;
        fixed (byte* start = buffer)
        {
            for (int attempt = 0; ; attempt++)
            {
                uint length = SockAddrNl.Size;
                // With MSG_TRUNC the result is the length of the datagram even if the buffer is shorter.
                nint received = Libc.RecvFrom(_handle, start, (nuint)buffer.Length, flags | Libc.MSG_TRUNC, &sender, &length);
                if (received >= 0)
                {
                    datagram = new Datagram((int)received, sender.PortId);
                    return true;
                }

                var errno = LastErrno();
                if (errno == Errno.EAGAIN)
                {
                    datagram = default;
                    return false;
                }

                if (errno != Errno.EINTR || attempt == MaxInterruptions)
                    throw Failure("netlink receive");
            }
        }
    }

    /// <summary>Waits without limit until a datagram is queued (true) or <paramref name="wake"/> is set (false).</summary>
    public bool WaitReadable(WakeEvent wake)
    {
        bool socketHeld = false,
            wakeHeld = false;
        try
        {
            _handle.DangerousAddRef(ref socketHeld);
            wake.Handle.DangerousAddRef(ref wakeHeld);
            var descriptors = stackalloc PollFd[2];
            descriptors[0] = new PollFd { Descriptor = (int)_handle.DangerousGetHandle(), Events = Libc.POLLIN };
            descriptors[1] = new PollFd { Descriptor = (int)wake.Handle.DangerousGetHandle(), Events = Libc.POLLIN };
            for (int attempt = 0; ; attempt++)
            {
                if (Libc.Poll(descriptors, 2, -1) > 0)
                    return descriptors[1].Returned == 0;
                if (LastErrno() != Errno.EINTR || attempt == MaxInterruptions)
                    throw Failure("poll");
            }
        }
        finally
        {
            if (socketHeld)
                _handle.DangerousRelease();
            if (wakeHeld)
                wake.Handle.DangerousRelease();
        }
    }

    public void Dispose() => _handle.Dispose();

    private static void SetReceiveTimeout(SafeFileHandle handle, TimeSpan timeout)
    {
        var value = new TimeVal
        {
            Seconds = timeout.Ticks / TimeSpan.TicksPerSecond,
            Microseconds = timeout.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond,
        };
        if (Libc.SetSockOpt(handle, Libc.SOL_SOCKET, Libc.SO_RCVTIMEO, &value, (uint)sizeof(TimeVal)) != 0)
            throw Failure("setsockopt(SO_RCVTIMEO)");
    }

    private static void SetOption(SafeFileHandle handle, int level, int option, int value, string name)
    {
        if (Libc.SetSockOpt(handle, level, option, &value, sizeof(int)) != 0)
            throw Failure($"setsockopt({name})");
    }

    private static Errno LastErrno() => (Errno)Marshal.GetLastPInvokeError();

    private static NetlinkException Failure(string operation) => new(operation, LastErrno(), extendedMessage: null);
}
