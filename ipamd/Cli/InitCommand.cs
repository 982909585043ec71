// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Options;

namespace VpcCni.Ipamd.Cli;

/// <summary>Implements <c>ipamd init</c>, for an init container or a unit that runs before the daemon.</summary>
internal static class InitCommand
{
    /// <param name="console">Output streams.</param>
    /// <param name="json">The option <c>--json</c>.</param>
    /// <param name="bound">Settings of the environment.</param>
    /// <param name="apply">Sets the kernel parameters.</param>
    public static Command Create(
        CommandConsole console,
        Option<bool> json,
        BoundOptions bound,
        Func<IpamdOptions, CancellationToken, Task<IReadOnlyList<SettingOutcome>>> apply
    )
    {
        var command = new DocumentedCommand(
            "init",
            "set the kernel parameters that the node needs, before the daemon starts; idempotent",
            (ExitCodes.Done, "all parameters are set"),
            (ExitCodes.Failed, "the environment is invalid, or a parameter could not be set")
        )
        {
            json,
        };
        command.SetAction((result, cancellationToken) => RunAsync(console, result.GetValue(json), bound, apply, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(
        CommandConsole console,
        bool json,
        BoundOptions bound,
        Func<IpamdOptions, CancellationToken, Task<IReadOnlyList<SettingOutcome>>> apply,
        CancellationToken cancellationToken
    )
    {
        foreach (var problem in bound.Problems)
            await console.Error.WriteLineAsync($"ipamd init: {problem}");
        if (bound.Problems.Count > 0)
            return ExitCodes.Failed;
        try
        {
            var outcomes = await apply(bound.Options, cancellationToken);
            await console.Output.WriteAsync(json ? Json(outcomes) : Text(outcomes));
            return ExitCodes.Done;
        }
        catch (Exception exception) when (exception is HostNetworkException or CloudException)
        {
            await console.Error.WriteLineAsync($"ipamd init: {exception.Message}");
            return ExitCodes.Failed;
        }
    }

    private static string Text(IReadOnlyList<SettingOutcome> outcomes) =>
        string.Concat(outcomes.Select(item => $"{item.Name} = {item.Value}{(item.Changed ? $" (was {item.Previous})" : "")}\n"));

    private static string Json(IReadOnlyList<SettingOutcome> outcomes) =>
        JsonText.Object(writer =>
            writer.WriteObjects(
                "settings",
                outcomes,
                item =>
                {
                    writer.WriteString("name", item.Name);
                    writer.WriteString("value", item.Value);
                    writer.WriteString("previous", item.Previous);
                    writer.WriteBoolean("changed", item.Changed);
                }
            )
        );
}
