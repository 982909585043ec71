// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// Common parts of all programs' command lines: help with exit codes, options before the command, errors with suggestions.
/// </summary>
internal static class CommandLine
{
    /// <summary>Adds the common options and the help to a root command that already has its subcommands.</summary>
    /// <param name="root">The root command.</param>
    /// <param name="console">Supplies the width of the help.</param>
    /// <param name="shared">Options that are also accepted before the command; a command that does not have one reports an error.</param>
    public static RootCommand Complete(RootCommand root, CommandConsole console, params Option[] shared)
    {
        foreach (var option in shared)
        {
            root.Options.Add(option);
            foreach (var command in root.Subcommands.Where(command => !command.Options.Contains(option)))
            {
                command.Validators.Add(result =>
                {
                    if (result.GetResult(option) is { Implicit: false })
                        result.AddError($"'{command.Name}' has no {option.Name}");
                });
            }
        }

        root.Options.Remove(root.Options.OfType<HelpOption>().Single());
        var help = new HelpOption("--help", "-h") { Description = "show this help" };
        help.Action = new CommandHelp((HelpAction)help.Action!, console.Columns);
        root.Options.Add(help);
        root.Options.OfType<VersionOption>().Single().Description = "show the version";
        root.SetAction(result => ((CommandHelp)help.Action).Invoke(result));
        return root;
    }

    /// <summary>Runs the command that the arguments name.</summary>
    /// <param name="root">Result of <see cref="Complete"/>.</param>
    /// <param name="program">Name of the program, for errors.</param>
    /// <param name="args">The arguments.</param>
    /// <param name="console">Output streams.</param>
    /// <returns>The exit code.</returns>
    public static Task<int> InvokeAsync(RootCommand root, string program, string[] args, CommandConsole console)
    {
        var result = root.Parse(args);
        return result.Action is ParseErrorAction
            ? Task.FromResult(UsageErrors.Write(result, program, console.Error))
            : result.InvokeAsync(
                new InvocationConfiguration
                {
                    Output = console.Output,
                    Error = console.Error,
                    ProcessTerminationTimeout = null,
                }
            );
    }
}
