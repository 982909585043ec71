// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Netlink.Interop;

/// <summary>
/// Writes descriptors into messages and keeps their handles open until the kernel has read them: a number in a buffer is out of the sight
/// of SafeHandle.
/// </summary>
internal struct DescriptorLeases
{
    private List<SafeFileHandle>? _held;

    public void Write(SafeFileHandle handle, Span<byte> destination)
    {
        bool held = false;
        handle.DangerousAddRef(ref held);
        (_held ??= []).Add(handle);
        int descriptor = (int)handle.DangerousGetHandle();
        MemoryMarshal.Write(destination, in descriptor);
    }

    public void Release()
    {
        if (_held is null)
            return;
        foreach (var handle in _held)
            handle.DangerousRelease();
        _held = null;
    }
}
