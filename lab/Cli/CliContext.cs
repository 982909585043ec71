// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary>What the commands need of the process that they run in.</summary>
/// <param name="Time">The clock.</param>
/// <param name="SelfCommand">How to start this program again: the file and the arguments that come before its own.</param>
/// <param name="BaseFolder">Where the program lies; ipamd and vpc-cni are looked for beside it and one folder up.</param>
internal sealed record CliContext(TimeProvider Time, IReadOnlyList<string> SelfCommand, string BaseFolder)
{
    /// <summary>Every command has it, so that several labs can run side by side.</summary>
    public Option<string> NameOption { get; } =
        new("--name") { Description = "The lab's name", DefaultValueFactory = _ => new LabOptions().Name };

    public Option<string> RunFolderOption { get; } =
        new("--run-dir") { Description = "Where labs keep sockets, logs and state", DefaultValueFactory = _ => new LabOptions().RunFolder };

    public Option<bool> JsonOption { get; } = new("--json") { Description = "Print JSON" };

    /// <summary>The files of the lab that a command line means.</summary>
    public LabPaths PathsOf(ParseResult command)
    {
        var name = command.GetValue(NameOption)!;
        return FabricNames.Problem(name) is { } problem
            ? throw new LabException(problem)
            : new LabPaths(command.GetValue(RunFolderOption)!, name);
    }

    public ControlClient Connect(ParseResult command) => new(PathsOf(command), command.GetValue(NameOption)!);

    /// <summary>A program that <c>make build</c> puts beside this one; null when it is not there.</summary>
    public string? FindBeside(string program) =>
        ((string[])[BaseFolder, Path.GetDirectoryName(BaseFolder.TrimEnd('/')) ?? "/"])
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists);

    /// <summary>A command whose refusals and failures are one message on standard error and exit code 1.</summary>
    public Command Make(string name, string description, Func<ParseResult, CancellationToken, Task<int>> action, params Symbol[] symbols)
    {
        var command = new Command(name, description);
        foreach (var symbol in (IEnumerable<Symbol>)[.. symbols, NameOption, RunFolderOption])
        {
            if (symbol is Argument argument)
                command.Add(argument);
            else if (symbol is Option option)
                command.Add(option);
            else
                command.Add((Command)symbol);
        }

        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                try
                {
                    return await action(parsed, cancellationToken);
                }
                catch (Exception error) when (error is LabException or FabricException or CniException or IOException)
                {
                    await parsed.InvocationConfiguration.Error.WriteLineAsync($"vpc-lab {name}: {error.Message}");
                    return 1;
                }
                catch (OperationCanceledException)
                {
                    return 130; // interrupted, as a shell reports SIGINT
                }
            }
        );
        return command;
    }
}
