// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Netlink.Interop;

/// <summary>An eventfd that ends a poll. Stays set once set.</summary>
internal sealed unsafe class WakeEvent : IDisposable
{
    public WakeEvent()
    {
        Handle = Libc.EventFd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        if (Handle.IsInvalid)
            throw new NetlinkException("eventfd", (Errno)Marshal.GetLastPInvokeError(), extendedMessage: null);
    }

    public SafeFileHandle Handle { get; }

    public void Set()
    {
        ulong one = 1;
        // EAGAIN: the counter is at its maximum, so the event is already set.
        if (Libc.Write(Handle, (byte*)&one, sizeof(ulong)) < 0 && Marshal.GetLastPInvokeError() != (int)Errno.EAGAIN)
            throw new NetlinkException("write(eventfd)", (Errno)Marshal.GetLastPInvokeError(), extendedMessage: null);
    }

    public void Dispose() => Handle.Dispose();
}
