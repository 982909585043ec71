// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace VpcCni.Ipamd.Cli;

/// <summary>A command with documented exit codes. Parsing, help, completion and suggestions are derived from these objects.</summary>
internal sealed class DocumentedCommand(string name, string description, params ExitCode[] exitCodes) : Command(name, description)
{
    /// <summary>Exit codes of this command, and <see cref="Cli.ExitCodes.Usage"/>.</summary>
    public IReadOnlyList<ExitCode> ExitCodes { get; } = [.. exitCodes, (Cli.ExitCodes.Usage, "the command line is invalid")];
}

/// <summary>Prints the package's help, at most <see cref="Columns"/> and the terminal's width wide, followed by the exit codes.</summary>
/// <param name="inner">Prints the help without the exit codes.</param>
/// <param name="terminal">Returns the terminal's width in columns; null if there is none.</param>
internal sealed class CommandHelp(HelpAction inner, Func<int?> terminal) : SynchronousCommandLineAction
{
    /// <summary>Maximum line length.</summary>
    public const int Columns = 100;

    /// <summary>Minimum line length, which leaves room for descriptions beside the names.</summary>
    private const int MinColumns = 40;

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        inner.MaxWidth = Math.Clamp(terminal() ?? Columns, MinColumns, Columns);
        var code = inner.Invoke(parseResult);
        if (parseResult.CommandResult.Command is not DocumentedCommand command)
            return code;
        var output = parseResult.InvocationConfiguration.Output;
        output.WriteLine("Exit codes:");
        foreach (var exit in command.ExitCodes)
            output.WriteLine($"  {exit.Code, -4}{exit.Meaning}");
        output.WriteLine();
        return code;
    }
}
