// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using Grpc.Core;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Install;
using VpcCni.MissedDels;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd install</c> and <c>ipamd uninstall</c>: see Install/README.md.</summary>
/// <param name="console">Where to write.</param>
/// <param name="options">Where the runtime looks.</param>
/// <param name="time">For waiting.</param>
/// <param name="removeTranslation">
/// Removes the table of source NAT from the node; its argument is whether also when nothing takes its place. Null: there is none.
/// </param>
internal sealed class InstallCommand(
    CommandConsole console,
    InstallOptions options,
    TimeProvider time,
    Func<bool, CancellationToken, Task<NatRemovalOutcome>>? removeTranslation
)
{
    private const int DefaultWaitSeconds = 60;
    private const int MaxWaitSeconds = 3600;
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(5);

    /// <summary>The default is the file beside this program.</summary>
    public static Option<string> PluginOption() =>
        new("--plugin")
        {
            Description = "the plugin's file",
            DefaultValueFactory = _ => Path.Combine(AppContext.BaseDirectory, Conflist.PluginType),
        };

    public IEnumerable<Command> Create(Option<string> socket)
    {
        var plugin = PluginOption();
        var wait = new Option<int>("--wait")
        {
            Description = "seconds to wait for the daemon to be ready",
            DefaultValueFactory = _ => DefaultWaitSeconds,
        };
        var install = new DocumentedCommand(
            "install",
            "put the CNI plugin, and the network configuration once the daemon is ready, where the container runtime looks",
            (ExitCodes.Done, "done"),
            (ExitCodes.Failed, "failed"),
            (ExitCodes.NoAnswer, "the daemon was not ready in time: the plugin is there, the configuration is as it was")
        )
        {
            plugin,
            wait,
            socket,
        };
        install.SetAction(
            (result, cancellationToken) =>
                InstallAsync(
                    result.GetValue(plugin)!,
                    TimeSpan.FromSeconds(Math.Clamp(result.GetValue(wait), 0, MaxWaitSeconds)),
                    result.GetValue(socket)!,
                    cancellationToken
                )
        );
        var replaced = new Option<int>("--wait")
        {
            Description = "seconds to wait for the rules of the AWS VPC CNI, after which our table of source NAT is removed",
            DefaultValueFactory = _ => 0,
        };
        var nat = new Option<bool>("--nat")
        {
            Description =
                "remove our table of source NAT even if nothing takes its place: pods that run reach nothing outside of the VPC then",
        };
        var uninstall = new DocumentedCommand(
            "uninstall",
            "take away what install put there, put back what it replaced, and remove our table of source NAT "
                + "when the AWS VPC CNI's rules are there, and the notes of DELs that nobody takes any more",
            (ExitCodes.Done, "done"),
            (ExitCodes.Failed, "failed")
        )
        {
            replaced,
            nat,
            socket,
        };
        uninstall.SetAction(
            (result, cancellationToken) =>
                UninstallAsync(
                    result.GetValue(nat),
                    TimeSpan.FromSeconds(Math.Clamp(result.GetValue(replaced), 0, MaxWaitSeconds)),
                    result.GetValue(socket)!,
                    cancellationToken
                )
        );
        return [install, uninstall];
    }

    private async Task<int> InstallAsync(string plugin, TimeSpan wait, string socket, CancellationToken cancellationToken)
    {
        var installer = Files("install");
        if (await GuardAsync("install", () => InstallPluginsAsync(installer, plugin, cancellationToken)) is var failed and not 0)
            return failed;
        if (await WhyNotReadyAsync(socket, wait, cancellationToken) is { } reason)
        {
            await console.Error.WriteLineAsync(
                $"ipamd install: the daemon on {socket} was not ready within {wait.TotalSeconds:0} s ({reason}); the network "
                    + "configuration was left as it was"
            );
            return ExitCodes.NoAnswer;
        }

        return await GuardAsync("install", () => installer.InstallConfigurationAsync(cancellationToken));
    }

    private async Task<int> UninstallAsync(bool always, TimeSpan wait, string socket, CancellationToken cancellationToken)
    {
        if (await GuardAsync("uninstall", () => UninstallFiles(socket)) is var failed and not 0)
            return failed;
        if (removeTranslation is null)
            return ExitCodes.Done;
        var started = time.GetTimestamp();
        try
        {
            NatRemovalOutcome outcome;
            while (
                (outcome = await removeTranslation(always, cancellationToken)) == NatRemovalOutcome.Kept
                && time.GetElapsedTime(started) + LookEvery <= wait
            )
                await Task.Delay(LookEvery, time, cancellationToken);
            await console.Output.WriteLineAsync(
                outcome switch
                {
                    NatRemovalOutcome.Removed => $"table ip {NatRules.Table} is removed",
                    NatRemovalOutcome.NotThere => $"table ip {NatRules.Table} is not there",
                    NatRemovalOutcome.Kept =>
                        $"table ip {NatRules.Table} stays: nothing else translates for the pods that run; again when the AWS VPC CNI "
                            + "runs (or --wait SECONDS, or --nat)",
                    _ => throw new ArgumentOutOfRangeException(nameof(always), outcome, "unknown outcome"),
                }
            );
            return ExitCodes.Done;
        }
        catch (HostNetworkException exception)
        {
            await console.Error.WriteLineAsync($"ipamd uninstall: {exception.Message}");
            return ExitCodes.Failed;
        }
    }

    private Installer Files(string command) =>
        new(
            options,
            new PluginInquiry(time),
            console.Output.WriteLine,
            sentence => console.Error.WriteLine($"ipamd {command}: warning: {sentence}")
        );

    private static async Task InstallPluginsAsync(Installer installer, string plugin, CancellationToken cancellationToken)
    {
        installer.InstallPlugin(plugin);
        var folder = Installer.CorePluginsBeside(plugin);
        await installer.InstallNeededPluginsAsync(folder, cancellationToken);
        await installer.InstallCorePluginsAsync(folder, cancellationToken);
    }

    private Task UninstallFiles(string socket)
    {
        Files("uninstall").Uninstall();
        if (MissedDelFolder.Delete(socket) is > 0 and var others)
            console.Error.WriteLine(
                $"ipamd uninstall: warning: {MissedDelFolder.PathBeside(socket)} stays: {others} files in it are no notes of DELs"
            );
        return Task.CompletedTask;
    }

    /// <summary>Null as soon as an ADD can be served.</summary>
    private async Task<string?> WhyNotReadyAsync(string socket, TimeSpan wait, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var reason = await AskAsync(socket, cancellationToken);
            if (reason is null || time.GetElapsedTime(started) + AskEvery > wait)
                return reason;
            await Task.Delay(AskEvery, time, cancellationToken);
        }
    }

    private async Task<string?> AskAsync(string socket, CancellationToken cancellationToken)
    {
        using var client = new DaemonClient(socket, time.GetUtcNow().UtcDateTime + AnswerWithin);
        try
        {
            var status = await client.Node.GetStatusAsync(
                new GetStatusRequest(),
                deadline: client.Deadline,
                cancellationToken: cancellationToken
            );
            return status.Ready ? null : $"{status.Phase}: {string.Join("; ", status.Problems)}";
        }
        catch (RpcException exception)
        {
            return DaemonFailure.Of(exception, socket, client.Server).What;
        }
    }

    private async Task<int> GuardAsync(string what, Func<Task> work)
    {
        try
        {
            await work();
            return ExitCodes.Done;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            await console.Error.WriteLineAsync($"ipamd {what}: {exception.Message}");
            return ExitCodes.Failed;
        }
    }
}
