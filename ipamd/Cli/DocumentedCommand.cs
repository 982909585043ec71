// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace VpcCni.Ipamd.Cli;

/// <summary>A command that knows its exit codes. Parsing, help, completion and suggestions all come from these objects.</summary>
internal sealed class DocumentedCommand(string name, string description, params ExitCode[] exitCodes) : Command(name, description)
{
    /// <summary>Its own, and the one of every command.</summary>
    public IReadOnlyList<ExitCode> ExitCodes { get; } = [.. exitCodes, (Cli.ExitCodes.Usage, "the command line is wrong")];
}

/// <summary>
/// The help of the package, within <see cref="Columns"/> or the terminal where that is narrower, with the exit codes at its end.
/// </summary>
/// <param name="inner">Writes all but the exit codes.</param>
/// <param name="terminal">The terminal's columns; null for none.</param>
internal sealed class CommandHelp(HelpAction inner, Func<int?> terminal) : SynchronousCommandLineAction
{
    /// <summary>The longest line.</summary>
    public const int Columns = 100;

    /// <summary>Narrower, there would be no room beside the names.</summary>
    private const int FewestColumns = 40;

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        inner.MaxWidth = Math.Clamp(terminal() ?? Columns, FewestColumns, Columns);
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
