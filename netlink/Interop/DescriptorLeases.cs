// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Netlink.Interop;

/// <summary>
/// Writes file descriptors into messages and keeps their handles open until <see cref="Release"/>. SafeHandle cannot protect a descriptor
/// number in a buffer, so without the reference another thread could close the file before the kernel reads the message.
/// </summary>
internal struct DescriptorLeases
{
    private List<SafeFileHandle>? _handles;

    public void Write(SafeFileHandle handle, Span<byte> destination)
    {
        bool held = false;
        handle.DangerousAddRef(ref held);
        (_handles ??= []).Add(handle);
        int descriptor = (int)handle.DangerousGetHandle();
        MemoryMarshal.Write(destination, in descriptor);
    }

    public void Release()
    {
        if (_handles is null)
            return;
        foreach (var handle in _handles)
            handle.DangerousRelease();
        _handles = null;
    }
}
