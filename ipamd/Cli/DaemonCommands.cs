// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using Grpc.Core;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Options;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>Output streams of commands: results go to <c>Output</c>, everything else to <c>Error</c>.</summary>
internal sealed record CommandConsole(TextWriter Output, TextWriter Error)
{
    /// <summary>
    /// Returns the maximum width of tables, in columns; null: unlimited (a file or pipe). Called only when a table is printed.
    /// </summary>
    public Func<int?> Columns { get; init; } = () => null;
}

/// <summary>
/// Defines the command line: the commands, their options and their exit codes. An invalid command line returns
/// <see cref="ExitCodes.Usage"/>; no command prints the help.
/// </summary>
/// <param name="console">Output streams.</param>
/// <param name="version">Version of this program.</param>
/// <param name="time">Clock for deadlines.</param>
/// <param name="runDaemon">Runs the daemon. The argument is the plugin's file for a daemon that installs itself, otherwise null.</param>
internal sealed class DaemonCommands(CommandConsole console, string version, TimeProvider time, Func<string?, Task<int>> runDaemon)
{
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5);

    /// <summary>Deadline of an audit: two passes, and a call of the cloud that may wait for the node's budget.</summary>
    private static readonly TimeSpan AuditDeadline = TimeSpan.FromSeconds(60);

    private static readonly ExitCode NoAnswer = (ExitCodes.NoAnswer, "the daemon does not answer");

    /// <summary>Creates commands that change the node without the daemon; the argument is the option <c>--json</c>.</summary>
    public required IReadOnlyList<Func<Option<bool>, Command>> NodeCommands { get; init; }

    /// <summary>Removes source NAT in <c>uninstall</c>. See <see cref="InstallCommand"/>.</summary>
    public required Func<bool, CancellationToken, Task<NatRemovalOutcome>> RemoveTranslation { get; init; }

    /// <param name="args">The command line.</param>
    /// <param name="options">Settings of the environment, as defaults of the options and for the paths of the daemon's files.</param>
    public Task<int> InvokeAsync(string[] args, IpamdOptions options) => CommandLine.InvokeAsync(Create(options), "ipamd", args, console);

    internal RootCommand Create(IpamdOptions options)
    {
        var socket = new Option<string>("--socket")
        {
            Description = "the daemon's Unix socket",
            DefaultValueFactory = _ => options.SocketPath,
        };
        var json = new Option<bool>("--json") { Description = "print JSON" };
        var root = new RootCommand($"ipamd {version}: maintains a warm pool of VPC addresses on this node and assigns them to pods")
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
            Description = "also install the plugin at the start, and the network configuration once the daemon can serve an ADD",
        };
        var plugin = InstallCommand.PluginOption();
        var command = new DocumentedCommand(
            "run",
            "run the daemon, which is configured by environment variables",
            (ExitCodes.Done, "the daemon was asked to stop"),
            (ExitCodes.Failed, "the environment is invalid, or the daemon cannot continue")
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
            Description = "read the daemon's checkpoint and the end of its log instead of calling the daemon; changes neither",
        };
        var command = new DocumentedCommand(
            "status",
            "show the node's health, the pool, pending ADDs and problems",
            (ExitCodes.Done, "ready; with --offline: the checkpoint was read"),
            (ExitCodes.Failed, "not ready; with --offline: no readable checkpoint"),
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
        var command = new DocumentedCommand("pods", "list pods and their addresses", (ExitCodes.Done, "done"), NoAnswer) { socket, json };
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
            Description = "NAMESPACE/POD, a pod's name, or the first 6 or more characters of a sandbox id",
        };
        var command = new DocumentedCommand(
            "explain",
            "show step by step how a pod got its address, or why it waits or failed",
            (ExitCodes.Done, "the pod has its address, or released it"),
            (ExitCodes.Failed, "the pod waits, its ADD failed, or no interface has its address"),
            NoAnswer,
            (ExplainReport.Unknown, "the pod is unknown, or several pods have that name")
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
        var withoutCloud = new Option<bool>("--without-cloud") { Description = "do not call the cloud" };
        var command = new DocumentedCommand(
            "audit",
            "compare the ledger with the kernel, the pods' namespaces and the cloud",
            (ExitCodes.Done, "no mismatch"),
            (ExitCodes.Failed, "mismatches"),
            (ExitCodes.NoAnswer, "the daemon, the kernel or the cloud does not answer")
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
            Description = "empty: the daemon can serve an ADD; liveness: the daemon answers",
            DefaultValueFactory = _ => "",
        };
        var verbose = new Option<bool>("--verbose") { Description = "print the causes of bad health, with the exit codes of `status`" };
        var command = new DocumentedCommand(
            "health",
            "check for probes whether the daemon is serving",
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
            Description = "full, no-releases (the pool only grows) or no-calls (serve from what is attached)",
            Arity = ArgumentArity.ZeroOrOne,
        };
        level.AcceptOnlyFromAmong([.. Enum.GetValues<CloudAccess>().Select(CloudAccessText.Of)]);
        var command = new DocumentedCommand(
            "access",
            "show, or set until the daemon restarts, which calls of the cloud this node may make",
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
