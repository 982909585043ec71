// SPDX-License-Identifier: Apache-2.0
using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>Exit code, output and duration of a program that has exited.</summary>
internal sealed record ProcessOutcome(int ExitCode, string Output, string Errors, TimeSpan Elapsed);

/// <summary>
/// Starts programs in a network namespace, without a shell. A child process belongs to the namespace of the thread that forks it.
/// </summary>
internal static class NamespaceProcess
{
    // The first use of processes starts a runtime thread that handles signals. Start it here, in the machine's namespace: a thread started
    // inside Run would stay in the lab's namespace and keep it alive after the lab has ended.
    static NamespaceProcess() => PosixSignalRegistration.Create(PosixSignal.SIGCHLD, static _ => { }).Dispose();

    /// <summary>Starts a program, which inherits the streams that <paramref name="start"/> does not redirect.</summary>
    /// <param name="network">The program's namespace.</param>
    /// <param name="start">The program and its arguments.</param>
    /// <param name="prepare">
    /// Runs before the fork on the forking thread, which ends afterwards. The program inherits what it changes about its thread.
    /// </param>
    /// <exception cref="FabricException">The program cannot be executed.</exception>
    public static Process Start(NetworkNamespace network, ProcessStartInfo start, Action? prepare = null)
    {
        try
        {
            return network.Run(() =>
                {
                    prepare?.Invoke();
                    return Process.Start(start);
                }) ?? throw new FabricException($"the program '{start.FileName}' did not start");
        }
        catch (Win32Exception error)
        {
            throw new FabricException($"cannot run '{start.FileName}': {error.Message}{Hint(start.FileName)}", error);
        }
    }

    /// <summary>
    /// Runs a program with the given standard input until it exits, and captures its output. Kills it, with its children, when the deadline
    /// passes or the caller cancels.
    /// </summary>
    /// <exception cref="FabricException">The program cannot be executed, or the deadline passed.</exception>
    public static async Task<ProcessOutcome> RunAsync(
        NetworkNamespace network,
        ProcessStartInfo start,
        string input,
        TimeSpan deadline,
        TimeProvider time,
        CancellationToken cancellationToken
    )
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var started = time.GetTimestamp();
        using var process = Start(network, start);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(both.Token);
            var errors = process.StandardError.ReadToEndAsync(both.Token);
            await FeedAsync(process, input, both.Token);
            await process.WaitForExitAsync(both.Token);
            var elapsed = time.GetElapsedTime(started);
            return new ProcessOutcome(process.ExitCode, await output, await errors, elapsed);
        }
        catch (OperationCanceledException cancelled)
        {
            process.Kill(entireProcessTree: true);
            if (cancellationToken.IsCancellationRequested)
                throw;
            throw new FabricException($"'{start.FileName}' was killed: it did not exit within {deadline.TotalSeconds} s", cancelled);
        }
    }

    private static string Hint(string program) => program == "nft" ? " (install it from the Debian package nftables)" : "";

    private static async Task FeedAsync(Process process, string input, CancellationToken cancellationToken)
    {
        try
        {
            await process.StandardInput.WriteAsync(input.AsMemory(), cancellationToken);
            process.StandardInput.Close();
        }
        catch (IOException) when (input.Length == 0 || process.WaitForExit(TimeSpan.FromSeconds(1)))
        {
            // A program may exit without reading its input (EPIPE). The caller gets its exit code and output.
        }
    }
}
