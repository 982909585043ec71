// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Diagnostics;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab exec</c>: runs a program in the network of a node or a pod, with the caller's terminal.</summary>
internal static class ExecCommand
{
    public static Command Create(CliContext context)
    {
        var target = new Argument<string>("NODE|NAMESPACE/POD") { Description = "A node, a pod, or one of: router, internet, onprem" };
        var program = new Argument<string[]>("COMMAND") { Description = "The program and its arguments, after --", Arity = ArgumentArity.OneOrMore };
        return context.Make("exec", "Run a program in the network of a node or a pod", async (parsed, cancellationToken) =>
        {
            var words = parsed.GetValue(program)!;
            using var network = NetworkNamespace.Open(await FindAsync(context, parsed, parsed.GetValue(target)!, cancellationToken));
            using var process = NamespaceProcess.Start(network, new ProcessStartInfo(words[0], words.Skip(1)));
            // Ctrl-C reaches the program from the terminal as well; it decides what to do with it, and we wait for that.
            await process.WaitForExitAsync(CancellationToken.None);
            return process.ExitCode;
        }, target, program);
    }

    private static async Task<string> FindAsync(CliContext context, ParseResult parsed, string target, CancellationToken cancellationToken)
    {
        var names = new FabricNames(parsed.GetValue(context.NameOption)!);
        using var lab = context.Connect(parsed);
        var status = await lab.StatusAsync(cancellationToken);
        return target switch
        {
            "router" => $"{FabricNamespaces.Folder}/{names.Router}",
            "internet" => $"{FabricNamespaces.Folder}/{names.Internet}",
            "onprem" => $"{FabricNamespaces.Folder}/{names.OnPremises}",
            _ => status.Nodes.FirstOrDefault(node => node.Name == target)?.NetworkNamespace
                ?? status.Nodes.SelectMany(node => node.Pods).FirstOrDefault(pod => pod.Name == target)?.NetworkNamespace
                ?? throw new LabException($"'{target}' is neither a node ({string.Join(", ", status.Nodes.Select(node => node.Name))}) nor a pod of lab '{status.Name}', nor router, internet or onprem"),
        };
    }
}
