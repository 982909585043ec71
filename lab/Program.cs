// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Cli;

namespace VpcCni.Lab;

/// <summary>Entry point of <c>vpc-lab</c>; see lab/README.md.</summary>
internal static class Program
{
    /// <summary>
    /// Time that a lab has to remove itself after Ctrl-C. When it expires, the runtime ends the process and <c>down</c> removes the rest.
    /// </summary>
    private static readonly TimeSpan TerminationTimeout = TimeSpan.FromSeconds(25);

    private static Task<int> Main(string[] arguments)
    {
        arguments = Background.EnterIfRequested(arguments);
        var context = new CliContext(TimeProvider.System, Self(), AppContext.BaseDirectory);
        return LabCommands
            .Create(context)
            .Parse(arguments)
            .InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TerminationTimeout });
    }

    /// <summary>The command that starts this program again: its executable, or <c>dotnet</c> and the assembly.</summary>
    private static string[] Self()
    {
        var executable = Environment.ProcessPath ?? throw new InvalidOperationException("this process has no executable");
        return Path.GetFileNameWithoutExtension(executable) == "dotnet" ? [executable, Environment.GetCommandLineArgs()[0]] : [executable];
    }
}
