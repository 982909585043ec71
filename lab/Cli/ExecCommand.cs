// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Diagnostics;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab exec</c>: runs a program in the network namespace of a node or a pod, with the caller's terminal.</summary>
internal static class ExecCommand
{
    public static Command Create(CliContext context)
    {
        var target = new Argument<string>("NODE|NAMESPACE/POD") { Description = "A node, a pod, or one of: router, internet, onprem" };
        var program = new Argument<string[]>("COMMAND")
        {
            Description = "The program and its arguments, after --",
            Arity = ArgumentArity.OneOrMore,
        };
        return context.Make(
            "exec",
            "Run a program in the network of a node or a pod",
            async (parsed, cancellationToken) =>
            {
                var command = parsed.GetValue(program)!;
                var (path, node) = await FindAsync(context, parsed, parsed.GetValue(target)!, cancellationToken);
                using var network = NetworkNamespace.Open(path);
                var start = node is null ? new ProcessStartInfo(command[0], command.Skip(1)) : OnNode(node, command);
                using var process = NamespaceProcess.Start(network, start);
                // The terminal sends Ctrl-C to the program as well. The program decides whether to exit, so wait for it.
                await process.WaitForExitAsync(CancellationToken.None);
                return process.ExitCode;
            },
            target,
            program
        );
    }

    /// <summary>
    /// Sets up a program as on a real node: ipamd and vpc-cni are on the PATH, and the environment names the files of the node's daemon.
    /// </summary>
    private static ProcessStartInfo OnNode(NodeStatus node, string[] command)
    {
        var folder = Path.GetDirectoryName(node.IpamdProgram);
        var installed = folder is null || command[0].Contains('/', StringComparison.Ordinal) ? null : Path.Combine(folder, command[0]);
        var start = new ProcessStartInfo(File.Exists(installed) ? installed : command[0], command.Skip(1));
        foreach (var (name, value) in node.Environment)
            start.Environment[name] = value;
        if (folder is not null)
            start.Environment["PATH"] = $"{folder}:{(start.Environment.TryGetValue("PATH", out var path) ? path : "")}";
        return start;
    }

    /// <summary>Finds the namespace of a target, and the node if the target is one.</summary>
    private static async Task<(string Network, NodeStatus? Node)> FindAsync(
        CliContext context,
        ParseResult parsed,
        string target,
        CancellationToken cancellationToken
    )
    {
        var names = new FabricNames(parsed.GetValue(context.NameOption)!);
        using var lab = context.Connect(parsed);
        var status = await lab.StatusAsync(cancellationToken);
        if (status.Nodes.FirstOrDefault(node => node.Name == target) is { } found)
            return (found.NetworkNamespace, found);
        return (
            target switch
            {
                "router" => $"{FabricNamespaces.Folder}/{names.Router}",
                "internet" => $"{FabricNamespaces.Folder}/{names.Internet}",
                "onprem" => $"{FabricNamespaces.Folder}/{names.OnPremises}",
                _ => status.Nodes.SelectMany(node => node.Pods).FirstOrDefault(pod => pod.Name == target)?.NetworkNamespace
                    ?? throw new LabException(
                        $"'{target}' is neither a node ({string.Join(", ", status.Nodes.Select(node => node.Name))}) nor a pod of "
                            + $"lab '{status.Name}', nor one of router, internet and onprem"
                    ),
            },
            null
        );
    }
}
