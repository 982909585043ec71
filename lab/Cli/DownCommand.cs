// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab down</c>: stops a running lab, or removes what a crashed one left.</summary>
internal static class DownCommand
{
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    public static Command Create(CliContext context) =>
        context.Make(
            "down",
            "Stop a lab and remove everything it created",
            async (parsed, cancellationToken) =>
            {
                var output = parsed.InvocationConfiguration.Output;
                var paths = context.PathsOf(parsed);
                var names = new FabricNames(parsed.GetValue(context.NameOption)!);
                var running = LabStateFile.Read(paths) is { } state && LabStateFile.IsRunning(state) ? state : null;
                if (running is not null)
                    await StopAsync(context, running, cancellationToken);
                var removed = LabCleanup.Remove(paths, names);
                await output.WriteLineAsync(
                    removed.Namespaces.Count == 0 && !removed.Folder
                        ? running is null
                            ? $"there is no lab '{names.Lab}', and nothing to remove"
                            : $"lab '{names.Lab}' (process {running.ProcessId}) stopped and removed everything"
                        : $"removed what was left of lab '{names.Lab}': {removed.Processes} processes, {removed.Namespaces.Count} "
                            + $"namespaces{(removed.Folder ? $", {paths.Folder}" : "")}"
                );
                return 0;
            }
        );

    /// <summary>
    /// Sends SIGTERM, on which the process removes everything. Kills the process after a deadline; the caller then removes the rest.
    /// </summary>
    private static async Task StopAsync(CliContext context, LabState state, CancellationToken cancellationToken)
    {
        Posix.Kill(state.ProcessId, Posix.SigTerm);
        var started = context.Time.GetTimestamp();
        while (LabStateFile.IsRunning(state))
        {
            if (context.Time.GetElapsedTime(started) > StopDeadline)
            {
                Posix.Kill(state.ProcessId, Posix.SigKill);
                return;
            }

            await Task.Delay(PollInterval, context.Time, cancellationToken);
        }
    }
}
