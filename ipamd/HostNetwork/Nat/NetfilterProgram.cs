// SPDX-License-Identifier: Apache-2.0
using System.ComponentModel;
using System.Diagnostics;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>What a program that has ended left.</summary>
internal sealed record ProgramOutcome(int ExitCode, string Output, string Errors);

/// <summary>
/// Runs the programs that speak netfilter: <c>nft</c> and the iptables family. No shell; input on stdin; looked for where distributions put them, and nowhere else; killed past a deadline.
/// </summary>
/// <param name="ns">Null: the process's own namespace.</param>
/// <param name="time">For the deadline.</param>
internal sealed class NetfilterProgram(NetworkNamespace? ns, TimeProvider time)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Not the PATH: a container's may lack them, and whoever sets it would choose what runs with the daemon's rights.</summary>
    private static readonly string[] Folders = ["/usr/sbin/", "/sbin/", "/usr/local/sbin/", "/usr/bin/", "/bin/"];

    /// <summary>Null: there is no such program.</summary>
    /// <exception cref="HostNetworkException">It did not end in time.</exception>
    public async Task<ProgramOutcome?> TryRunAsync(string program, IReadOnlyList<string> arguments, string input, CancellationToken cancellationToken)
    {
        using var process = Start(program, arguments);
        if (process is null) return null;
        using var limit = new CancellationTokenSource(Deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(both.Token);
            var errors = process.StandardError.ReadToEndAsync(both.Token);
            await FeedAsync(process, input, both.Token);
            await process.WaitForExitAsync(both.Token);
            return new ProgramOutcome(process.ExitCode, await output, await errors);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HostNetworkException($"{program} {string.Join(' ', arguments)} did not end within {Deadline.TotalSeconds:0} s");
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    private Process? Start(string program, IReadOnlyList<string> arguments)
    {
        foreach (var folder in Folders)
        {
            var start = new ProcessStartInfo(folder + program, arguments) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
            try
            {
                // A child belongs to the namespace of the thread that starts it.
                return ns is null ? Process.Start(start) : ns.Run(() => Process.Start(start));
            }
            catch (Win32Exception exception) when (exception.NativeErrorCode == (int)Errno.ENOENT)
            {
                // Looked for in the next folder.
            }
            catch (Win32Exception exception)
            {
                throw new HostNetworkException($"cannot run {start.FileName}: {exception.Message}", exception);
            }
        }

        return null;
    }

    private static async Task FeedAsync(Process process, string input, CancellationToken cancellationToken)
    {
        try
        {
            await process.StandardInput.WriteAsync(input.AsMemory(), cancellationToken);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading all of it; exit code and messages say why.
        }
    }
}
