// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using Grpc.Core;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Options;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>Where commands write: results to the first, everything else to the second.</summary>
internal sealed record CommandConsole(TextWriter Output, TextWriter Error)
{
    /// <summary>Columns that tables have; null: as many as they need (a file, a pipe). Asked only by who prints one.</summary>
    public Func<int?> Columns { get; init; } = () => null;
}

/// <summary>
/// The command line: which commands there are, what each takes and what its exit codes mean. A command line that is wrong is
/// <see cref="ExitCodes.Usage"/>; no command at all prints the help.
/// </summary>
/// <param name="console">Where to write.</param>
/// <param name="version">Of this program.</param>
/// <param name="time">For deadlines.</param>
/// <param name="runDaemon">Runs it; with the plugin's file it installs itself, with null it does not.</param>
internal sealed class DaemonCommands(CommandConsole console, string version, TimeProvider time, Func<string?, Task<int>> runDaemon)
{
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5);

    /// <summary>Two looks, and a call of EC2 that may wait for the node's budget.</summary>
    private static readonly TimeSpan AuditDeadline = TimeSpan.FromSeconds(60);

    private static readonly ExitCode NoAnswer = (ExitCodes.NoAnswer, "the daemon does not answer");

    /// <summary>Commands that change the node instead of asking the daemon; each is given the option for JSON.</summary>
    public IReadOnlyList<Func<Option<bool>, Command>> NodeCommands { get; init; } = [];

    /// <summary>What <c>uninstall</c> does about source NAT; null: nothing. See <see cref="InstallCommand"/>.</summary>
    public Func<bool, CancellationToken, Task<NatRemovalOutcome>>? RemoveTranslation { get; init; }

    /// <param name="args">The command line.</param>
    /// <param name="options">What the environment amounts to: defaults of the options, and where the daemon's files are.</param>
    public Task<int> InvokeAsync(string[] args, IpamdOptions options) => CommandLine.InvokeAsync(Create(options), "ipamd", args, console);

    internal RootCommand Create(IpamdOptions options)
    {
        var socket = new Option<string>("--socket")
        {
            Description = "the daemon's Unix socket",
            DefaultValueFactory = _ => options.SocketPath,
        };
        var json = new Option<bool>("--json") { Description = "print JSON for machines" };
        var root = new RootCommand($"ipamd {version}: keeps a warm pool of VPC addresses on this node and serves them to pods")
        {
            Run(),
            Status(socket, json, options),
            Pods(socket, json),
            Explain(socket, json),
            Audit(socket, json),
            Health(socket, json),
            Access(socket, json),
            CompletionCommand.Create(console),
        };
        foreach (var command in new InstallCommand(console, options.Install, time, RemoveTranslation).Create(socket))
            root.Subcommands.Add(command);
        foreach (var create in NodeCommands)
            root.Subcommands.Add(create(json));
        return CommandLine.Complete(root, console, socket, json);
    }

    private DocumentedCommand Run()
    {
        var installs = new Option<bool>("--install")
        {
            Description = "also install: the plugin at the start, the network configuration once an ADD can be served",
        };
        var plugin = InstallCommand.PluginOption();
        var command = new DocumentedCommand(
            "run",
            "run the daemon; it is configured by environment variables",
            (ExitCodes.Done, "it was asked to stop"),
            (ExitCodes.Failed, "the environment is invalid, or it cannot go on")
        )
        {
            installs,
            plugin,
        };
        command.SetAction((result, _) => runDaemon(result.GetValue(installs) ? result.GetValue(plugin) : null));
        return command;
    }

    private DocumentedCommand Status(Option<string> socket, Option<bool> json, IpamdOptions options)
    {
        var offline = new Option<bool>("--offline")
        {
            Description = "do not ask the daemon: read its checkpoint and the end of its log, and change neither",
        };
        var command = new DocumentedCommand(
            "status",
            "what the daemon has, what it waits for, and how well it serves pods",
            (ExitCodes.Done, "ready; with --offline: the checkpoint was read"),
            (ExitCodes.Failed, "not ready; with --offline: there is no checkpoint that can be read"),
            NoAnswer,
            (StatusReport.Degraded, "degraded")
        )
        {
            offline,
            socket,
            json,
        };
        command.SetAction(
            (result, cancellationToken) =>
                result.GetValue(offline)
                    ? OfflineReport.WriteAsync(
                        OfflineStatus.Read(options with { SocketPath = result.GetValue(socket)! }, time),
                        result.GetValue(json),
                        console.Output
                    )
                    : AskAsync(
                        result.GetValue(socket)!,
                        client => StatusReport.WriteAsync(client, result.GetValue(json), console.Output, cancellationToken)
                    )
        );
        return command;
    }

    private DocumentedCommand Pods(Option<string> socket, Option<bool> json)
    {
        var command = new DocumentedCommand("pods", "which pod holds which address", (ExitCodes.Done, "done"), NoAnswer) { socket, json };
        command.SetAction(
            (result, cancellationToken) =>
                AskAsync(
                    result.GetValue(socket)!,
                    client => PodReport.WriteAsync(client, result.GetValue(json), console, time, cancellationToken)
                )
        );
        return command;
    }

    private DocumentedCommand Explain(Option<string> socket, Option<bool> json)
    {
        var subject = new Argument<string>("pod")
        {
            Description = "NAMESPACE/POD, a pod's name alone, or the beginning of a sandbox's id (6 characters or more)",
        };
        var command = new DocumentedCommand(
            "explain",
            "why a pod waits or failed, or how it got its address, step by step",
            (ExitCodes.Done, "it has its address, or gave it back"),
            (ExitCodes.Failed, "it waits, failed, or its address is on no interface"),
            NoAnswer,
            (ExplainReport.Unknown, "nothing is known of it, or several pods have that name")
        )
        {
            subject,
            socket,
            json,
        };
        command.SetAction(
            (result, cancellationToken) =>
                AskAsync(
                    result.GetValue(socket)!,
                    client =>
                        ExplainReport.WriteAsync(
                            client,
                            result.GetValue(subject)!,
                            result.GetValue(json),
                            console.Output,
                            cancellationToken
                        )
                )
        );
        return command;
    }

    private DocumentedCommand Audit(Option<string> socket, Option<bool> json)
    {
        var withoutCloud = new Option<bool>("--without-cloud") { Description = "leave EC2 out: no call is made" };
        var command = new DocumentedCommand(
            "audit",
            "compare the ledger with the kernel, the pods' namespaces and EC2",
            (ExitCodes.Done, "no mismatch"),
            (ExitCodes.Failed, "mismatches"),
            (ExitCodes.NoAnswer, "the daemon, the kernel or EC2 does not answer")
        )
        {
            withoutCloud,
            socket,
            json,
        };
        command.SetAction(
            (result, cancellationToken) =>
                AskAsync(
                    result.GetValue(socket)!,
                    client =>
                        AuditReport.WriteAsync(
                            client,
                            result.GetValue(withoutCloud),
                            result.GetValue(json),
                            console.Output,
                            cancellationToken
                        ),
                    AuditDeadline
                )
        );
        return command;
    }

    private DocumentedCommand Health(Option<string> socket, Option<bool> json)
    {
        var service = new Option<string>("--service")
        {
            Description = "empty: an ADD can be served; liveness: the daemon answers",
            DefaultValueFactory = _ => "",
        };
        var verbose = new Option<bool>("--verbose") { Description = "say what is wrong, with the exit codes of `status`" };
        var command = new DocumentedCommand(
            "health",
            "whether the daemon serves, for probes",
            (ExitCodes.Done, "serving"),
            (ExitCodes.Failed, "not serving"),
            NoAnswer,
            (StatusReport.Degraded, "degraded, with --verbose only")
        )
        {
            service,
            verbose,
            socket,
            json,
        };
        command.SetAction(
            (result, cancellationToken) =>
                AskAsync(
                    result.GetValue(socket)!,
                    client =>
                        result.GetValue(verbose)
                            ? HealthCommand.ExplainAsync(client, result.GetValue(json), console, cancellationToken)
                            : HealthCommand.RunAsync(client, result.GetValue(service)!, result.GetValue(json), console, cancellationToken)
                )
        );
        return command;
    }

    private DocumentedCommand Access(Option<string> socket, Option<bool> json)
    {
        var level = new Argument<string?>("level")
        {
            Description = "full, no-releases (grow, give nothing back) or no-calls (serve from what is attached)",
            Arity = ArgumentArity.ZeroOrOne,
        };
        level.AcceptOnlyFromAmong([.. Enum.GetValues<CloudAccess>().Select(CloudAccessText.Of)]);
        var command = new DocumentedCommand(
            "access",
            "show, or set until the daemon restarts, how much of the cloud's control plane this node may use",
            (ExitCodes.Done, "done"),
            NoAnswer
        )
        {
            level,
            socket,
            json,
        };
        command.SetAction(
            (result, cancellationToken) =>
                AskAsync(
                    result.GetValue(socket)!,
                    client =>
                        AccessCommand.RunAsync(client, result.GetValue(level), result.GetValue(json), console.Output, cancellationToken)
                )
        );
        return command;
    }

    private async Task<int> AskAsync(string socket, Func<DaemonClient, Task<int>> question, TimeSpan? within = null)
    {
        using var client = new DaemonClient(socket, time.GetUtcNow().UtcDateTime + (within ?? CallDeadline));
        try
        {
            return await question(client);
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.InvalidArgument)
        {
            await console.Error.WriteLineAsync($"ipamd: {Truncate.Of(exception.Status.Detail)}");
            return ExitCodes.Usage;
        }
        catch (RpcException exception)
        {
            await console.Error.WriteLineAsync($"ipamd: {await DaemonFailure.OfAsync(exception, client)}");
            return ExitCodes.NoAnswer;
        }
    }
}
