// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

// Every P/Invoke of this assembly passes blittable values, SafeHandles or UTF-8 strings, so neither the runtime nor NativeAOT needs
// marshalling code.
[assembly: DisableRuntimeMarshalling]
[assembly: InternalsVisibleTo("VpcCni.Netlink.Tests")]
[assembly: InternalsVisibleTo("VpcCni.Kernel.Tests")]
