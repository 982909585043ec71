// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using System.Reflection;
using System.Runtime.InteropServices;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Startup;

namespace VpcCni.Ipamd;

/// <summary>The process's entry point: the only place that reads the environment, the real clock and the console.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        var environment = Environment
            .GetEnvironmentVariables()
            .Cast<DictionaryEntry>()
            .ToDictionary(entry => (string)entry.Key, entry => (string?)entry.Value ?? "");
        var console = new CommandConsole(Console.Out, Console.Error)
        {
            Columns = () =>
                Terminal.Columns(Console.IsOutputRedirected, () => Console.WindowWidth, environment.GetValueOrDefault("COLUMNS")),
        };
        using var stop = new CancellationTokenSource();
        using var terminated = StopOn(PosixSignal.SIGTERM, stop);
        using var interrupted = StopOn(PosixSignal.SIGINT, stop);
        var bound = OptionBinder.Bind(environment);
        var commands = new DaemonCommands(console, Version, TimeProvider.System, plugin => RunAsync(bound, plugin, stop.Token))
        {
            NodeCommands =
            [
                json =>
                    InitCommand.Create(
                        console,
                        json,
                        bound,
                        (options, token) => NodeInit.RunAsync(options, TimeProvider.System, new LockedRandom(new Random()), token)
                    ),
            ],
            RemoveTranslation = new NatRemoval(new NetfilterProgram(ns: null, TimeProvider.System)).RemoveAsync,
        };
        return await commands.InvokeAsync(args, bound.Options);
    }

    private static string Version =>
        typeof(Program).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    /// <summary>
    /// Registers the only handler of the signal: neither the socket's host (see <see cref="Rpc.RpcServer"/>) nor the command line has one.
    /// </summary>
    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stop) =>
        PosixSignalRegistration.Create(
            signal,
            context =>
            {
                context.Cancel = true;
                stop.Cancel();
            }
        );

    /// <summary>Exit code: 0 after a requested stop, 1 when the environment is invalid or the daemon cannot continue.</summary>
    private static async Task<int> RunAsync(BoundOptions bound, string? plugin, CancellationToken cancellationToken)
    {
        bound = CloudComposition.Check(bound);
        if (bound.Problems.Count > 0)
        {
            await Console.Error.WriteLineAsync($"ipamd: the environment has {bound.Problems.Count} problem(s); nothing was started:");
            foreach (var problem in bound.Problems)
                await Console.Error.WriteLineAsync($"  {problem}");
            return 1;
        }

        try
        {
            await using var daemon = new Daemon(bound, Version, TimeProvider.System, new LockedRandom(new Random()))
            {
                PluginToInstall = plugin,
            };
            await daemon.RunAsync(cancellationToken);
            return 0;
        }
        catch (Exception exception)
        {
            // The log has it too, but a log file inside a container is lost with the container. The stack is for defects.
            await Console.Error.WriteLineAsync(
                $"ipamd: stopped: {(LogEntry.IsExpected(exception) ? LogEntry.MessageOf(exception) : exception)}"
            );
            return 1;
        }
    }
}
