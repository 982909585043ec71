// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using Grpc.Core;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Install;

namespace VpcCni.Ipamd.Cli;

/// <summary>Where commands write: results to the first, everything else to the second.</summary>
internal sealed record CommandConsole(TextWriter Output, TextWriter Error);

/// <summary>
/// The command line. Exit codes: 0 done, 1 failed (for <c>status</c>: not ready), 2 the daemon does not answer or refuses the question, 3 degraded (<c>status</c>)
/// or nothing known (<c>explain</c>), as documented in the help of each command.
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

    /// <summary>Commands that change the node instead of asking the daemon; each is given the option for JSON.</summary>
    public IReadOnlyList<Func<Option<bool>, Command>> NodeCommands { get; init; } = [];

    /// <summary>What <c>uninstall</c> does about source NAT; null: nothing. See <see cref="InstallCommand"/>.</summary>
    public Func<bool, CancellationToken, Task<NatRemovalOutcome>>? RemoveTranslation { get; init; }

    public Task<int> InvokeAsync(string[] args, string defaultSocket, InstallOptions install)
    {
        var socket = new Option<string>("--socket") { Description = "the daemon's Unix socket", DefaultValueFactory = _ => defaultSocket, Recursive = true };
        var json = new Option<bool>("--json") { Description = "print JSON for machines instead of a table", Recursive = true };

        var installs = new Option<bool>("--install") { Description = "also install: the plugin at the start, the network configuration once an ADD can be served" };
        var plugin = InstallCommand.PluginOption();
        var run = new Command("run", "run the daemon (the default); it is configured by environment variables") { installs, plugin };
        run.SetAction((result, _) => runDaemon(result.GetValue(installs) ? result.GetValue(plugin) : null));
        var status = new Command("status", "what the daemon has and what it waits for; exit code 0 ready, 1 not ready, 2 no answer, 3 degraded");
        status.SetAction((result, cancellationToken) => AskAsync(result.GetValue(socket)!, client => StatusReport.WriteAsync(client, result.GetValue(json), console.Output, cancellationToken)));
        var pods = new Command("pods", "which pod holds which address; exit code 0, or 2 no answer");
        pods.SetAction((result, cancellationToken) => AskAsync(result.GetValue(socket)!, client => PodReport.WriteAsync(client, result.GetValue(json), console.Output, time, cancellationToken)));
        var subject = new Argument<string>("pod") { Description = "NAMESPACE/POD, or the beginning of a sandbox's id" };
        var explain = new Command("explain", "why a pod waits or failed, or how it got its address, step by step; exit code 0 it has its address or gave it back, 1 it waits, failed, or its address is on no interface, 2 no answer, 3 nothing is known of it") { subject };
        explain.SetAction((result, cancellationToken) => AskAsync(
            result.GetValue(socket)!, client => ExplainReport.WriteAsync(client, result.GetValue(subject)!, result.GetValue(json), console.Output, cancellationToken)));

        var withoutCloud = new Option<bool>("--without-cloud") { Description = "leave EC2 out: no call is made" };
        var audit = new Command("audit", "compare the ledger with the kernel, the pods' namespaces and EC2; exit code 0 no mismatch, 1 some, 2 no answer of the daemon, the kernel or EC2") { withoutCloud };
        audit.SetAction((result, cancellationToken) => AskAsync(
            result.GetValue(socket)!, client => AuditReport.WriteAsync(client, result.GetValue(withoutCloud), result.GetValue(json), console.Output, cancellationToken), AuditDeadline));

        var service = new Option<string>("--service") { Description = "empty: an ADD can be served; liveness: the daemon answers", DefaultValueFactory = _ => "" };
        var verbose = new Option<bool>("--verbose") { Description = "say what is wrong, with the exit codes of `status`" };
        var health = new Command("health", "for probes; exit code 0 serving, 1 not serving, 2 no answer; with --verbose 3 degraded") { service, verbose };
        health.SetAction((result, cancellationToken) => AskAsync(result.GetValue(socket)!, client => result.GetValue(verbose)
            ? HealthCommand.ExplainAsync(client, result.GetValue(json), console, cancellationToken)
            : HealthCommand.RunAsync(client, result.GetValue(service)!, console, cancellationToken)));

        var level = new Argument<string>("level") { Description = "full, no-releases (grow, give nothing back) or no-calls (serve from what is attached)" };
        var access = new Command("access", "how much of the cloud's control plane this node may use, until the daemon restarts; exit code 0 done, 2 no answer or no such level") { level };
        access.SetAction((result, cancellationToken) => AskAsync(result.GetValue(socket)!, client => AccessCommand.SetAsync(client, result.GetValue(level)!, console.Output, cancellationToken)));

        var root = new RootCommand($"ipamd {version}: keeps a warm pool of VPC addresses on this node and serves them to pods") { run, status, pods, explain, audit, health, access, WhatIfCommand.Create(console, json) };
        foreach (var command in new InstallCommand(console, install, time, RemoveTranslation).Create(socket)) root.Subcommands.Add(command);
        foreach (var create in NodeCommands) root.Subcommands.Add(create(json));
        root.Options.Add(socket);
        root.Options.Add(json);
        root.SetAction((_, _) => runDaemon(null));
        return root.Parse(args).InvokeAsync(new InvocationConfiguration { Output = console.Output, Error = console.Error, ProcessTerminationTimeout = null });
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
            await console.Error.WriteLineAsync($"ipamd: {exception.Status.Detail}");
            return 2;
        }
        catch (RpcException exception)
        {
            await console.Error.WriteLineAsync($"ipamd: no answer on {socket}: {exception.Status.StatusCode}: {exception.Status.Detail}");
            await console.Error.WriteLineAsync("Is the daemon running, is this the right socket (--socket), and are you root?");
            return 2;
        }
    }
}
