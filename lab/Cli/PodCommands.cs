// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Text.Json;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab add</c> and <c>vpc-lab del</c>: add and delete a pod through the real CNI plugin.</summary>
internal static class PodCommands
{
    public static Command CreateAdd(CliContext context)
    {
        var (node, pod) = Arguments();
        return context.Make(
            "add",
            "Add a pod to a node: create its namespace and run the CNI plugin",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                var reply = await lab.AddPodAsync(parsed.GetValue(node)!, PodName.Parse(parsed.GetValue(pod)!), cancellationToken);
                await parsed.InvocationConfiguration.Output.WriteLineAsync(
                    parsed.GetValue(context.JsonOption)
                        ? reply.Result.ToJsonString(LabJson.Options)
                        : $"{reply.Pod} has {string.Join(" and ", reply.Addresses)} on {reply.Node} after {reply.Milliseconds} ms"
                );
                return 0;
            },
            node,
            pod,
            context.JsonOption
        );
    }

    public static Command CreateDel(CliContext context)
    {
        var (node, pod) = Arguments();
        return context.Make(
            "del",
            "Delete a pod: run the CNI plugin and remove the namespace",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                var reply = await lab.DeletePodAsync(parsed.GetValue(node)!, PodName.Parse(parsed.GetValue(pod)!), cancellationToken);
                await parsed.InvocationConfiguration.Output.WriteLineAsync(
                    parsed.GetValue(context.JsonOption)
                        ? JsonSerializer.Serialize(reply, LabJson.Options)
                        : $"{reply.Pod} is deleted from {reply.Node} after {reply.Milliseconds} ms"
                );
                return 0;
            },
            node,
            pod,
            context.JsonOption
        );
    }

    private static (Argument<string> Node, Argument<string> Pod) Arguments() =>
        (
            new Argument<string>("NODE") { Description = "For example node-1" },
            new Argument<string>("NAMESPACE/POD") { Description = "For example default/web-0" }
        );
}
