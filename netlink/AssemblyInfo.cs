// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

// Every P/Invoke here passes blittable values or SafeHandles only, so the runtime has nothing to marshal (and NativeAOT nothing to
// generate).
[assembly: DisableRuntimeMarshalling]
[assembly: InternalsVisibleTo("VpcCni.Netlink.Tests")]
[assembly: InternalsVisibleTo("VpcCni.Kernel.Tests")]
