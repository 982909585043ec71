// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Ipamd.Cli;

namespace VpcCni.KubectlPlugin.WhatIf;

/// <summary>
/// <c>kubectl vpccni whatif</c>: runs the pool of a node type with given options on a model of EC2, and prints interfaces, addresses and
/// EC2 calls.
/// </summary>
internal static class WhatIfCommand
{
    public static Command Create(CommandConsole console, Option<bool> json)
    {
        var type = new Option<string>("--instance-type") { Description = "instance type of the node, e.g. t3.small", Required = true };
        var pods = new Option<string>("--pods") { Description = "number of running pods of each step, e.g. 0,5,9", Required = true };
        var settings = new Option<string[]>("--set")
        {
            Description = "an option of the daemon, NAME=VALUE as in its environment; may be repeated",
            DefaultValueFactory = _ => [],
        };
        var command = new DocumentedCommand(
            "whatif",
            "interfaces, addresses and EC2 calls for a number of pods, from the real planner on a model of EC2",
            (ExitCodes.Done, "done")
        )
        {
            type,
            pods,
            settings,
            json,
        };
        command.SetAction(
            (result, _) =>
                RunAsync(console, result.GetValue(type)!, result.GetValue(pods)!, result.GetValue(settings)!, result.GetValue(json))
        );
        return command;
    }

    private static async Task<int> RunAsync(CommandConsole console, string type, string pods, string[] settings, bool json)
    {
        var (request, problems) = WhatIfRequest.Parse(type, pods, settings);
        if (request is null)
        {
            foreach (var problem in problems)
                await console.Error.WriteLineAsync($"{Program.Name} whatif: {problem}");
            return ExitCodes.Usage;
        }

        foreach (var warning in request.Warnings)
            await console.Error.WriteLineAsync($"warning: {warning}");
        var outcome = WhatIfRun.Run(request.Type, request.Options, request.Pods);
        foreach (var note in outcome.Notes)
            await console.Error.WriteLineAsync($"note: {note}");
        await console.Output.WriteAsync(json ? WhatIfReport.Json(outcome) : WhatIfReport.Table(outcome));
        return ExitCodes.Done;
    }
}
