// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

// Every P/Invoke here passes blittable values, SafeHandles or UTF-8 strings, so the runtime has nothing to marshal (and NativeAOT nothing
// to generate).
[assembly: DisableRuntimeMarshalling]
