// SPDX-License-Identifier: Apache-2.0
using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>What a finished program left.</summary>
internal sealed record ProcessOutcome(int ExitCode, string Output, string Errors, TimeSpan Elapsed);

/// <summary>
/// Starts programs inside a network namespace: a child belongs to the namespace of the thread that forks it. Nothing passes through a
/// shell.
/// </summary>
internal static class NamespaceProcess
{
    // The first use of processes starts a runtime thread that handles signals. It must be born here, in the machine's own namespace: from
    // inside of Run it would stay in the lab's namespace and keep it alive after the lab's end.
    static NamespaceProcess() => PosixSignalRegistration.Create(PosixSignal.SIGCHLD, static _ => { }).Dispose();

    /// <summary>Starts a program; its streams are inherited unless <paramref name="start"/> redirects them.</summary>
    /// <param name="network">Where it lives.</param>
    /// <param name="start">What to start.</param>
    /// <param name="prepare">
    /// Run before on the thread that forks it, which ends afterwards: what it changes of its thread holds for the program.
    /// </param>
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
    /// Runs a program to its end with its input given and its output captured; past the deadline it is killed with all its children.
    /// </summary>
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
            throw new FabricException($"'{start.FileName}' was killed: it did not end within {deadline.TotalSeconds} s", cancelled);
        }
    }

    private static string Hint(string program) => program == "nft" ? " (it is in the Debian package nftables)" : "";

    private static async Task FeedAsync(Process process, string input, CancellationToken cancellationToken)
    {
        try
        {
            await process.StandardInput.WriteAsync(input.AsMemory(), cancellationToken);
            process.StandardInput.Close();
        }
        catch (IOException) when (input.Length == 0 || process.WaitForExit(TimeSpan.FromSeconds(1)))
        {
            // A program may end without reading its input (EPIPE); its exit code and its messages tell why.
        }
    }
}
