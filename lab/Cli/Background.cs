// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Diagnostics;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary>
/// <c>--detach</c>: starts this program again, in a session of its own with its output in a file, and waits until that one is ready.
/// </summary>
internal static class Background
{
    /// <summary>Tells the second process that it is the one, and its log file: always its last argument.</summary>
    private const string Flag = "--in-background=";

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// In the second process: leaves the terminal and the caller's streams, so that nobody waits for their end. To be called before
    /// anything touches the console, which would keep a copy of them. Returns the arguments without the flag.
    /// </summary>
    public static string[] EnterIfAsked(string[] arguments)
    {
        if (arguments is not [.. var rest, var last] || !last.StartsWith(Flag, StringComparison.Ordinal))
            return arguments;
        Posix.Detach(last[Flag.Length..]);
        return rest;
    }

    /// <summary>In the first process.</summary>
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
        // Opened before the start: a lab that fails removes the file, but not what we hold.
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

                if (await DecidedAsync(client, cancellationToken) is { } status)
                {
                    if (status.KeptBecause is { } problem)
                    {
                        await parsed.InvocationConfiguration.Error.WriteLineAsync(UpCommand.Kept(options.Name, paths, problem));
                        return 1;
                    }

                    await parsed.InvocationConfiguration.Output.WriteLineAsync(
                        $"lab '{options.Name}' is ready as process {child.Id}; log: {paths.BackgroundLog}"
                    );
                    await StatusTable.WriteAsync(parsed.InvocationConfiguration.Output, status);
                    return 0;
                }

                await Task.Delay(Poll, context.Time, cancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            Posix.Kill(child.Id, Posix.SigTerm); // interrupted while it starts: it removes what it has made
            throw;
        }
    }

    /// <summary>
    /// Null while it is starting; the child's own deadline for its daemons bounds the wait. Ready, or kept although it is not.
    /// </summary>
    private static async Task<LabStatus?> DecidedAsync(ControlClient client, CancellationToken cancellationToken)
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
