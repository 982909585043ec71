// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.HostNetwork.Nat;

namespace VpcCni.Simulation;

/// <summary>
/// Answers for <c>nft</c> on the model's kernel, as far as the daemon runs it: scripts that add, delete and define whole tables of family
/// ip, and lists of them. A node without iptables.
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
                ["list", "tables"] or ["list", "tables", "ip"] => Printed(
                    string.Concat(kernel.Tables.Keys.Select(name => $"table ip {name}\n"))
                ),
                ["-s", "list", "table", "ip", var name] => kernel.Tables.TryGetValue(name, out var text)
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
            var end = rest.IndexOf('\n', StringComparison.Ordinal);
            var line = end < 0 ? rest : rest[..end];
            rest = end < 0 ? "" : rest[(end + 1)..];
            switch (line.Split(' '))
            {
                case ["add", "table", "ip", var name]:
                    tables[name] = tables.GetValueOrDefault(name) ?? kernel.Tables.GetValueOrDefault(name) ?? "";
                    break;
                case ["delete", "table", "ip", var name]:
                    if (!tables.ContainsKey(name) && !kernel.Tables.ContainsKey(name))
                        return new ProgramOutcome(1, "", "Error: No such file or directory");
                    tables[name] = null;
                    break;
                case ["table", "ip", var name, "{"]:
                    tables[name] = $"{line}\n{rest}";
                    rest = "";
                    break;
                default:
                    return new ProgramOutcome(1, "", $"Error: syntax error: {line}");
            }
        }

        foreach (var (name, text) in tables)
            kernel.SetTable(name, text);
        return Printed("");
    }

    private static ProgramOutcome Printed(string output) => new(0, output, "");
}
