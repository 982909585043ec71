// SPDX-License-Identifier: Apache-2.0
using VpcCni.Shim.Interop;

namespace VpcCni.Shim;

/// <summary>
/// The edge of the process: real environment, real streams, real clock, real randomness. Everything else is handed to
/// <see cref="Dispatcher"/>.
/// </summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        using var stdin = new ProcessStream(fd: 0, Limits.Stdin);
        using var stdout = new ProcessStream(fd: 1, Limits.Stdin);
        using var stderr = new ProcessStream(fd: 2, Limits.Stderr);
        return new Dispatcher(
            new PluginHost
            {
                Arguments = args,
                Environment = Environment.GetEnvironmentVariable,
                Stdin = stdin,
                Stdout = stdout,
                Stderr = stderr,
                Random = new Random(),
            }
        ).Run();
    }
}
