// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Reflection;
using VpcCni.Ipamd.Cli;
using VpcCni.KubectlPlugin.WhatIf;

namespace VpcCni.KubectlPlugin;

/// <summary>Entry point of <c>kubectl vpccni</c>, the commands for operators.</summary>
internal static class Program
{
    /// <summary>File name of the plugin: kubectl runs <c>kubectl-NAME</c> as <c>kubectl NAME</c>.</summary>
    public const string Name = "kubectl-vpccni";

    private static Task<int> Main(string[] args)
    {
        var console = new CommandConsole(Console.Out, Console.Error)
        {
            Columns = () =>
                Terminal.Columns(Console.IsOutputRedirected, () => Console.WindowWidth, Environment.GetEnvironmentVariable("COLUMNS")),
        };
        return InvokeAsync(args, console);
    }

    internal static Task<int> InvokeAsync(string[] args, CommandConsole console)
    {
        var json = new Option<bool>("--json") { Description = "print JSON" };
        var root = new RootCommand($"{Name} {Version}: looks after the pod network of a cluster") { WhatIfCommand.Create(console, json) };
        return CommandLine.InvokeAsync(CommandLine.Complete(root, console, json), Name, args, console);
    }

    private static string Version =>
        typeof(Program).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}
