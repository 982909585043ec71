// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Diagnostics;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary>
/// Implements <c>--detach</c>: starts this program again as a background process, which writes its output to a file, and waits until its
/// lab is ready.
/// </summary>
internal static class Background
{
    /// <summary>Last argument of the background process, with the path of its log file.</summary>
    private const string Flag = "--in-background=";

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// In the background process, detaches from the terminal and the caller's streams, so that readers of those streams see their end. Must
    /// be called before any use of the console, which would keep copies of them. Returns the arguments without the flag.
    /// </summary>
    public static string[] EnterIfRequested(string[] arguments)
    {
        if (arguments is not [.. var rest, var last] || !last.StartsWith(Flag, StringComparison.Ordinal))
            return arguments;
        Posix.Detach(last[Flag.Length..]);
        return rest;
    }

    /// <summary>Starts the background process and waits until its lab is ready. Returns the exit code.</summary>
    /// <exception cref="LabException">The lab did not start; the message has the background process's output.</exception>
    public static async Task<int> StartAsync(
        CliContext context,
        ParseResult parsed,
        LabOptions options,
        CancellationToken cancellationToken
    )
    {
        var paths = context.PathsOf(parsed);
        LabStateFile.RequireFree(paths, new FabricNames(options.Name));
        Directory.CreateDirectory(paths.RunFolder);
        // A lab that fails to start removes the file, so open it before.
        using var log = new StreamReader(
            new FileStream(paths.BackgroundLog, FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete)
        );
        var arguments = parsed.Tokens.Select(token => token.Value).Where(token => token != "--detach");
        var start = new ProcessStartInfo(
            context.SelfCommand[0],
            [.. context.SelfCommand.Skip(1), .. arguments, Flag + paths.BackgroundLog]
        );
        using var child = Process.Start(start) ?? throw new LabException($"'{start.FileName}' did not start");
        using var client = new ControlClient(paths, options.Name);
        try
        {
            while (true)
            {
                if (child.HasExited)
                {
                    if (File.Exists(paths.BackgroundLog))
                        File.Delete(paths.BackgroundLog);
                    throw new LabException(
                        $"the lab did not start (exit code {child.ExitCode}).\n{(await log.ReadToEndAsync(cancellationToken)).Trim()}"
                    );
                }

                if (await ReadDecidedStatusAsync(client, cancellationToken) is { } status)
                {
                    if (status.KeptBecause is { } problem)
                    {
                        await parsed.InvocationConfiguration.Error.WriteLineAsync(UpCommand.KeptMessage(options.Name, paths, problem));
                        return 1;
                    }

                    await parsed.InvocationConfiguration.Output.WriteLineAsync(
                        $"lab '{options.Name}' is ready as process {child.Id}; log: {paths.BackgroundLog}"
                    );
                    await StatusTable.WriteAsync(parsed.InvocationConfiguration.Output, status);
                    return 0;
                }

                await Task.Delay(PollInterval, context.Time, cancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            Posix.Kill(child.Id, Posix.SigTerm); // the child removes what it has created so far
            throw;
        }
    }

    /// <summary>
    /// Returns the status of a lab that is ready, or is kept although it is not; null while it is starting. The child's deadline for its
    /// daemons bounds the wait.
    /// </summary>
    private static async Task<LabStatus?> ReadDecidedStatusAsync(ControlClient client, CancellationToken cancellationToken)
    {
        try
        {
            var status = await client.StatusAsync(cancellationToken);
            return status.Ready || status.KeptBecause is not null ? status : null;
        }
        catch (LabException)
        {
            return null; // no control socket yet
        }
    }
}
