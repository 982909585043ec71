// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Cli;

namespace VpcCni.Lab;

/// <summary><c>vpc-lab</c>: see lab/README.md.</summary>
internal static class Program
{
    /// <summary>
    /// A lab of many nodes needs a moment to remove itself after Ctrl-C; after this the runtime ends the process, and <c>down</c> removes
    /// the rest.
    /// </summary>
    private static readonly TimeSpan TerminationTimeout = TimeSpan.FromSeconds(25);

    private static Task<int> Main(string[] arguments)
    {
        arguments = Background.EnterIfAsked(arguments);
        var context = new CliContext(TimeProvider.System, Self(), AppContext.BaseDirectory);
        return LabCommands
            .Create(context)
            .Parse(arguments)
            .InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TerminationTimeout });
    }

    /// <summary>This program again: its own executable, or <c>dotnet</c> and the assembly.</summary>
    private static string[] Self()
    {
        var executable = Environment.ProcessPath ?? throw new InvalidOperationException("this process has no executable");
        return Path.GetFileNameWithoutExtension(executable) == "dotnet" ? [executable, Environment.GetCommandLineArgs()[0]] : [executable];
    }
}
