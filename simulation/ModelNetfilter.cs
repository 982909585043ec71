// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;

namespace VpcCni.Simulation;

/// <summary>
/// Answers for <c>nft</c> on the model's kernel, as far as the daemon runs it: scripts that add, delete and define whole tables, and lists
/// of them. A node without iptables.
/// </summary>
internal sealed class ModelNetfilter(ModelKernel kernel, DaemonRun run) : INetfilterPrograms
{
    private const string Program = "nft";

    public bool Exists(string name) => name == Program;

    public IReadOnlyList<string> LegacyTables() => [];

    public Task<ProgramOutcome?> TryRunAsync(
        string program,
        IReadOnlyList<string> arguments,
        string input,
        CancellationToken cancellationToken,
        LineFilter? keep = null
    )
    {
        run.CheckAlive();
        if (program != Program)
            return Task.FromResult<ProgramOutcome?>(null);
        return Task.FromResult<ProgramOutcome?>(
            arguments switch
            {
                ["-f", "-"] => Load(input),
                ["list", "tables"] => Printed(string.Concat(kernel.Tables.Keys.Select(name => $"table {name}\n"))),
                ["list", "tables", var family] => Printed(
                    string.Concat(
                        kernel
                            .Tables.Keys.Where(name => name.StartsWith(family + " ", StringComparison.Ordinal))
                            .Select(name => $"table {name}\n")
                    )
                ),
                ["-s", "list", "table", var family, var name] => kernel.Tables.TryGetValue($"{family} {name}", out var text)
                    ? Printed(text)
                    : new ProgramOutcome(1, "", "Error: No such file or directory"),
                ["list", ..] => Printed(""),
                _ => throw new HostNetworkException($"the model does not know {program} {string.Join(' ', arguments)}"),
            }
        );
    }

    /// <summary>One transaction: every line applies, or none does.</summary>
    private ProgramOutcome Load(string script)
    {
        Dictionary<string, string?> tables = new(StringComparer.Ordinal);
        var rest = script;
        while (rest.Length > 0)
        {
            var line = TakeLine(ref rest);
            switch (line.Split(' '))
            {
                case ["add", "table", ("ip" or "ip6") and var family, var name]:
                    var added = $"{family} {name}";
                    tables[added] = tables.GetValueOrDefault(added) ?? kernel.Tables.GetValueOrDefault(added) ?? "";
                    break;
                case ["delete", "table", ("ip" or "ip6") and var family, var name]:
                    var deleted = $"{family} {name}";
                    if (!tables.ContainsKey(deleted) && !kernel.Tables.ContainsKey(deleted))
                        return new ProgramOutcome(1, "", "Error: No such file or directory");
                    tables[deleted] = null;
                    break;
                case ["table", ("ip" or "ip6") and var family, var name, "{"]:
                    tables[$"{family} {name}"] = $"{line}\n{TakeTable(ref rest)}";
                    break;
                default:
                    return new ProgramOutcome(1, "", $"Error: syntax error: {line}");
            }
        }

        foreach (var (name, text) in tables)
            kernel.SetTable(name, text);
        return Printed("");
    }

    /// <summary>Takes the rest of a table: up to a closing brace at the start of a line.</summary>
    private static string TakeTable(ref string rest)
    {
        var text = "";
        while (rest.Length > 0)
        {
            var line = TakeLine(ref rest);
            text += line + "\n";
            if (line == "}")
                break;
        }

        return text;
    }

    private static string TakeLine(ref string rest)
    {
        var end = rest.IndexOf('\n', StringComparison.Ordinal);
        var line = end < 0 ? rest : rest[..end];
        rest = end < 0 ? "" : rest[(end + 1)..];
        return line;
    }

    private static ProgramOutcome Printed(string output) => new(0, output, "");
}
