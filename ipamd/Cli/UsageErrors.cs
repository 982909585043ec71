// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Ipamd.Options;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>Prints errors of a command line to standard error, with suggestions.</summary>
internal static class UsageErrors
{
    /// <returns><see cref="ExitCodes.Usage"/>.</returns>
    /// <param name="result">Of the parser.</param>
    /// <param name="program">The name of the program.</param>
    /// <param name="error">Gets a line for each problem.</param>
    public static int Write(ParseResult result, string program, TextWriter error)
    {
        var command = result.CommandResult.Command;
        foreach (var problem in result.Errors)
        {
            var near = result
                .UnmatchedTokens.Where(token => problem.Message.Contains($"'{token}'", StringComparison.Ordinal))
                .Select(token => Nearest(command, token))
                .FirstOrDefault(name => name is not null);
            error.WriteLine($"{program}: {Truncate.Of(problem.Message).TrimEnd('.')}{(near is null ? "" : $"; did you mean '{near}'?")}");
        }

        error.WriteLine($"See `{program} {(command is RootCommand ? "" : command.Name + " ")}--help`.");
        return ExitCodes.Usage;
    }

    /// <summary>Returns the nearest command or option that is valid there; up to a third of the letters may be wrong.</summary>
    private static string? Nearest(Command command, string token)
    {
        var names = command
            .Subcommands.Where(item => !item.Hidden)
            .Select(item => item.Name)
            .Concat(
                command
                    .Options.Concat(
                        command.Parents.OfType<Command>().SelectMany(parent => parent.Options).Where(option => option.Recursive)
                    )
                    .Select(option => option.Name)
            );
        return Spelling.Near(token, names, Math.Max(2, token.Length / 3)).FirstOrDefault();
    }
}
