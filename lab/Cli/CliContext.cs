// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary>What the commands need from their process, and the options that they share.</summary>
/// <param name="Time">The clock.</param>
/// <param name="SelfCommand">The command that starts this program again: the file and the arguments before the program's own.</param>
/// <param name="BaseFolder">The program's folder; ipamd and vpc-cni are searched there and in its parent.</param>
internal sealed record CliContext(TimeProvider Time, IReadOnlyList<string> SelfCommand, string BaseFolder)
{
    /// <summary>Option of every command, so that several labs can run at the same time.</summary>
    public Option<string> NameOption { get; } =
        new("--name") { Description = "The lab's name", DefaultValueFactory = _ => new LabOptions().Name };

    public Option<string> RunFolderOption { get; } =
        new("--run-dir")
        {
            Description = "Folder of the labs' sockets, logs and state",
            DefaultValueFactory = _ => new LabOptions().RunFolder,
        };

    public Option<bool> JsonOption { get; } = new("--json") { Description = "Print JSON" };

    /// <summary>Paths of the lab that a command line names.</summary>
    public LabPaths PathsOf(ParseResult command)
    {
        var name = command.GetValue(NameOption)!;
        return FabricNames.Problem(name) is { } problem
            ? throw new LabException(problem)
            : new LabPaths(command.GetValue(RunFolderOption)!, name);
    }

    public ControlClient Connect(ParseResult command) => new(PathsOf(command), command.GetValue(NameOption)!);

    /// <summary>Path of a program that <c>make build</c> puts next to this one; null if it does not exist.</summary>
    public string? FindBeside(string program) =>
        ((string[])[BaseFolder, Path.GetDirectoryName(BaseFolder.TrimEnd('/')) ?? "/"])
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists);

    /// <summary>
    /// Creates a command with the shared options. An expected failure prints one message to standard error and exits with code 1.
    /// </summary>
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
                    return 130; // the exit code that a shell reports for SIGINT
                }
            }
        );
        return command;
    }
}
