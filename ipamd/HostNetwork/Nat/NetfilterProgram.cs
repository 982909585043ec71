// SPDX-License-Identifier: Apache-2.0
using System.ComponentModel;
using System.Diagnostics;
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>The outcome of a program.</summary>
/// <param name="ExitCode">0 for success.</param>
/// <param name="Output">The selected lines of its output.</param>
/// <param name="Errors">The beginning of its messages.</param>
internal sealed record ProgramOutcome(int ExitCode, string Output, string Errors)
{
    /// <summary>Its messages, truncated for the log: nft repeats the script that it refuses.</summary>
    public string Message => Truncate.Of(Errors);
}

/// <summary>
/// Executes the programs of netfilter: <c>nft</c> and the iptables family. Without a shell, with input on stdin, from the folders where
/// distributions install them. Kills a program past its deadline.
/// </summary>
/// <param name="ns">Null for the process's own namespace.</param>
/// <param name="time">Clock of the deadline.</param>
internal sealed class NetfilterProgram(NetworkNamespace? ns, TimeProvider time) : INetfilterPrograms
{
    /// <summary>Lists the tables of iptables-legacy of the reader's namespace. Missing until its kernel module is loaded.</summary>
    private const string LegacyTableList = "/proc/thread-self/net/ip_tables_names";

    /// <summary>Most characters of the messages.</summary>
    internal const int MaxErrors = 16 * 1024;

    /// <summary>Most characters of the output: many times what our table has.</summary>
    internal const int MaxOutput = 4 * 1024 * 1024;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Not the PATH: a container's may lack them, and its owner would choose what runs with the daemon's rights.</summary>
    private static readonly string[] DefaultFolders = ["/usr/sbin/", "/sbin/", "/usr/local/sbin/", "/usr/bin/", "/bin/"];

    /// <summary>Folders of the programs, in order of preference.</summary>
    public IReadOnlyList<string> Folders { get; init; } = DefaultFolders;

    public bool Exists(string name) => Folders.Any(folder => File.Exists(folder + name));

    public IReadOnlyList<string> LegacyTables() =>
        InNamespace<string[]>(() =>
        {
            try
            {
                return File.ReadAllLines(LegacyTableList);
            }
            catch (FileNotFoundException)
            {
                return [];
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw new HostNetworkException(
                    $"rules of the AWS VPC CNI may be left: {LegacyTableList} cannot be read: {exception.Message}",
                    exception
                );
            }
        });

    public async Task<ProgramOutcome?> TryRunAsync(
        string program,
        IReadOnlyList<string> arguments,
        string input,
        CancellationToken cancellationToken,
        LineFilter? keep = null
    )
    {
        using var process = Start(program, arguments);
        if (process is null)
            return null;
        using var limit = new CancellationTokenSource(Deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var output = BoundedLines.ReadAsync(process.StandardOutput, keep, MaxOutput, both.Token);
            var errors = BoundedLines.ReadAsync(process.StandardError, keep: null, MaxErrors, both.Token);
            await FeedAsync(process, input, both.Token);
            var (printed, isWhole) = await output;
            var (messages, _) = await errors;
            await process.WaitForExitAsync(both.Token);
            return isWhole
                ? new ProgramOutcome(process.ExitCode, printed, messages)
                : throw new HostNetworkException($"{program} {string.Join(' ', arguments)} printed more than {MaxOutput} characters");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HostNetworkException($"{program} {string.Join(' ', arguments)} did not end within {Deadline.TotalSeconds:0} s");
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    private T InNamespace<T>(Func<T> body) => ns is null ? body() : ns.Run(body);

    private Process? Start(string program, IReadOnlyList<string> arguments)
    {
        foreach (var folder in Folders)
        {
            var start = new ProcessStartInfo(folder + program, arguments)
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            try
            {
                // A child belongs to the namespace of the thread that starts it.
                return InNamespace(() => Process.Start(start));
            }
            catch (Win32Exception exception) when (exception.NativeErrorCode == (int)Errno.ENOENT)
            {
                // It may be in the next folder.
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
