// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using Grpc.Core;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Install;
using VpcCni.MissedDels;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>Implements <c>ipamd install</c> and <c>ipamd uninstall</c>; see Install/README.md.</summary>
/// <param name="console">Output streams.</param>
/// <param name="options">Folders of the runtime, and settings of the conflist.</param>
/// <param name="time">Clock for waiting.</param>
/// <param name="removeTranslation">
/// Removes the tables of source NAT. The argument is whether to remove them even if nothing replaces them.
/// </param>
internal sealed class InstallCommand(
    CommandConsole console,
    InstallOptions options,
    TimeProvider time,
    Func<bool, CancellationToken, Task<NatRemovalOutcome>> removeTranslation
)
{
    /// <summary>The tables of both families; the node may have one of them only.</summary>
    private const string NatTables = $"tables ip {NatRules.Table} and ip6 {NatRules.Table}";

    private const int DefaultWaitSeconds = 60;
    private const int MaxWaitSeconds = 3600;
    private static readonly TimeSpan ReadyPollInterval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan NatPollInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Creates the option for the plugin's file; the default is beside this program.</summary>
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
            "install the CNI plugin and, once the daemon is ready, the network configuration",
            (ExitCodes.Done, "done"),
            (ExitCodes.Failed, "failed"),
            (ExitCodes.NoAnswer, "the daemon was not ready in time; the plugin is installed, the configuration unchanged")
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
            Description = "seconds to wait for the rules of the AWS VPC CNI, to remove the tables of source NAT then",
            DefaultValueFactory = _ => 0,
        };
        var nat = new Option<bool>("--nat")
        {
            Description =
                "remove the tables of source NAT even if nothing replaces them; running pods then cannot reach anything outside the VPC",
        };
        var uninstall = new DocumentedCommand(
            "uninstall",
            "remove what install installed, restore what it replaced, remove the tables of source NAT "
                + "once the AWS VPC CNI's rules exist, and delete the records of missed DELs",
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
                    + "configuration is unchanged"
            );
            return ExitCodes.NoAnswer;
        }

        return await GuardAsync("install", () => installer.InstallConfigurationAsync(cancellationToken));
    }

    private async Task<int> UninstallAsync(bool always, TimeSpan wait, string socket, CancellationToken cancellationToken)
    {
        if (await GuardAsync("uninstall", () => UninstallFiles(socket)) is var failed and not 0)
            return failed;
        var started = time.GetTimestamp();
        try
        {
            NatRemovalOutcome outcome;
            while (
                (outcome = await removeTranslation(always, cancellationToken)) == NatRemovalOutcome.Kept
                && time.GetElapsedTime(started) + NatPollInterval <= wait
            )
                await Task.Delay(NatPollInterval, time, cancellationToken);
            await console.Output.WriteLineAsync(
                outcome switch
                {
                    NatRemovalOutcome.Removed => $"{NatTables} are removed",
                    NatRemovalOutcome.NotThere => $"{NatTables} do not exist",
                    NatRemovalOutcome.Kept =>
                        $"{NatTables} stay, because nothing else translates for running pods; uninstall again when the AWS VPC CNI is "
                            + "running, or use --wait SECONDS or --nat",
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
                $"ipamd uninstall: warning: {MissedDelFolder.PathBeside(socket)} stays: it has {others} files that are not "
                    + "records of missed DELs"
            );
        return Task.CompletedTask;
    }

    /// <summary>Waits until the daemon can serve an ADD. Returns null then, or the reason after the timeout.</summary>
    private async Task<string?> WhyNotReadyAsync(string socket, TimeSpan wait, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var reason = await AskAsync(socket, cancellationToken);
            if (reason is null || time.GetElapsedTime(started) + ReadyPollInterval > wait)
                return reason;
            await Task.Delay(ReadyPollInterval, time, cancellationToken);
        }
    }

    private async Task<string?> AskAsync(string socket, CancellationToken cancellationToken)
    {
        using var client = new DaemonClient(socket, time.GetUtcNow().UtcDateTime + CallTimeout);
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
