// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;
using VpcCni.Shim.Interop;

namespace VpcCni.Shim;

/// <summary>The edge of the process: real environment, real streams, real clock, real randomness. Everything else is handed to <see cref="Dispatcher"/>.</summary>
internal static class Program
{
    private static int Main()
    {
        using var stdin = new ProcessInput(fd: 0, Limits.Stdin);
        using var stdout = Output(fd: 1);
        using var stderr = Output(fd: 2);
        return new Dispatcher(new PluginHost
        {
            Environment = Environment.GetEnvironmentVariable,
            Stdin = stdin,
            Stdout = stdout,
            Stderr = stderr,
            Random = new Random(),
        }).Run();
    }

    // Not the Console class: its encodings, terminal settings and signal handlers would be most of the start-up time.
    private static FileStream Output(int fd) => new(new SafeFileHandle(fd, ownsHandle: false), FileAccess.Write, bufferSize: 0);
}
