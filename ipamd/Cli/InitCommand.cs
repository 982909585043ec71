// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Text;
using System.Text.Json;
using VpcCni.Ipamd.Cloud;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Options;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd init</c>, for an init container or a unit that runs before the daemon. Exit codes: 0 all parameters are set, 1 the environment is invalid or something could not be set.</summary>
internal static class InitCommand
{
    /// <param name="console">Where to write.</param>
    /// <param name="json">The option of all commands.</param>
    /// <param name="bound">What the environment amounts to.</param>
    /// <param name="apply">Does it.</param>
    public static Command Create(CommandConsole console, Option<bool> json, BoundOptions bound, Func<IpamdOptions, CancellationToken, Task<IReadOnlyList<SettingOutcome>>> apply)
    {
        var command = new Command("init", "set the kernel parameters that the node needs, before the daemon starts; may be repeated; exit code 0 all are set, 1 not");
        command.SetAction((result, cancellationToken) => RunAsync(console, result.GetValue(json), bound, apply, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(
        CommandConsole console, bool json, BoundOptions bound, Func<IpamdOptions, CancellationToken, Task<IReadOnlyList<SettingOutcome>>> apply, CancellationToken cancellationToken)
    {
        foreach (var problem in bound.Problems) await console.Error.WriteLineAsync($"ipamd init: {problem}");
        if (bound.Problems.Count > 0) return 1;
        try
        {
            var outcomes = await apply(bound.Options, cancellationToken);
            await console.Output.WriteAsync(json ? Json(outcomes) : Text(outcomes));
            return 0;
        }
        catch (Exception exception) when (exception is HostNetworkException or CloudException)
        {
            await console.Error.WriteLineAsync($"ipamd init: {exception.Message}");
            return 1;
        }
    }

    private static string Text(IReadOnlyList<SettingOutcome> outcomes)
        => string.Concat(outcomes.Select(item => $"{item.Name} = {item.Value}{(item.Changed ? $" (was {item.Previous})" : "")}\n"));

    private static string Json(IReadOnlyList<SettingOutcome> outcomes)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("settings");
            foreach (var item in outcomes)
            {
                writer.WriteStartObject();
                writer.WriteString("name", item.Name);
                writer.WriteString("value", item.Value);
                writer.WriteString("previous", item.Previous);
                writer.WriteBoolean("changed", item.Changed);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.ToArray()) + "\n";
    }
}
