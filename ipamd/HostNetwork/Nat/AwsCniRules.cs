// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Recognises the iptables rules of the AWS VPC CNI in the output of iptables-save, by the names of its chains, by jumps to them and by the
/// comments of its rules, and builds the input that removes them and nothing else. Pure.
/// </summary>
internal sealed record AwsCniRules
{
    /// <summary>Name of its nftables table.</summary>
    public const string NftTable = "aws-cni";

    /// <summary>Comment of its rules without a chain of their own.</summary>
    public const string PrimaryComment = "AWS, primary ENI";

    private static readonly string[] ChainPrefixes = ["AWS-SNAT-CHAIN-", "AWS-CONNMARK-CHAIN-"];

    /// <summary>Comments of its rules in chains that are not its own, by table and chain.</summary>
    private static readonly (string Table, string Chain, string Comment)[] Comments =
    [
        ("nat", "POSTROUTING", "AWS SNAT CHAIN"),
        ("nat", "PREROUTING", "AWS, outbound connections"),
        ("nat", "PREROUTING", "AWS, CONNMARK"),
        ("mangle", "PREROUTING", PrimaryComment),
    ];

    /// <summary>Input for <c>iptables-restore --noflush</c>: each table is one transaction. Null when nothing is left.</summary>
    public string? Removal { get; private init; }

    /// <summary>
    /// Rules of others that end POSTROUTING before its jump: connections that they accept were not translated by it, and are by us, whose
    /// chain they do not end.
    /// </summary>
    public IReadOnlyList<string> Exemptions { get; private init; } = [];

    /// <summary>
    /// Whether <see cref="Find"/> needs a line of iptables-save. A node with thousands of services prints many others.
    /// </summary>
    public static bool Matters(ReadOnlySpan<char> line) =>
        line.StartsWith("*")
        || line.StartsWith("COMMIT")
        || line.Contains("AWS", StringComparison.Ordinal)
        || line.StartsWith("-A POSTROUTING ");

    /// <summary>Whether a line of a list of chains names one of its chains.</summary>
    public static bool NamesChain(ReadOnlySpan<char> line)
    {
        foreach (var prefix in ChainPrefixes)
        {
            if (line.Contains($"chain {prefix}", StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    /// <param name="saved">Output of iptables-save, at least the lines that matter.</param>
    public static AwsCniRules Find(string saved)
    {
        var script = new StringBuilder();
        var table = "";
        List<string> rules = [],
            chains = [],
            ends = [],
            exemptions = [];
        foreach (var line in saved.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] == '*')
            {
                (table, rules, chains, ends) = (line[1..], [], [], []);
            }
            else if (line[0] == ':' && IsChain(line[1..]))
            {
                chains.Add(line[1..line.IndexOf(' ', StringComparison.Ordinal)]);
            }
            else if (line.StartsWith("-A ", StringComparison.Ordinal))
            {
                var target = Target(line);
                if (IsRule(table, line, target))
                {
                    rules.Add($"-D{line[2..]}");
                    if (line.StartsWith("-A POSTROUTING ", StringComparison.Ordinal))
                        exemptions.AddRange(ends);
                    ends = [];
                }
                else if (table == "nat" && target is "ACCEPT" or "RETURN" && line.StartsWith("-A POSTROUTING ", StringComparison.Ordinal))
                {
                    ends.Add(line);
                }
            }
            else if (line == "COMMIT" && rules.Count + chains.Count > 0)
            {
                Append(script, table, rules, chains);
            }
        }

        return new AwsCniRules { Removal = script.Length == 0 ? null : script.ToString(), Exemptions = exemptions };
    }

    /// <summary>Removes all rules before any chain: chains of older versions jump to each other.</summary>
    private static void Append(StringBuilder script, string table, List<string> rules, List<string> chains)
    {
        script.Append('*').Append(table).Append('\n');
        foreach (var rule in rules)
            script.Append(rule).Append('\n');
        foreach (var chain in chains)
            script.Append("-F ").Append(chain).Append('\n');
        foreach (var chain in chains)
            script.Append("-X ").Append(chain).Append('\n');
        script.Append("COMMIT\n");
    }

    /// <summary>
    /// Whether the rule is its own, by comment or by a jump to one of its chains, which cannot be removed while a rule jumps to it.
    /// </summary>
    private static bool IsRule(string table, string line, string target)
    {
        var chain = line.Split(' ')[1];
        if (IsChain(chain))
            return false;
        return IsChain(target)
            || Comments.Any(item =>
                item.Table == table && item.Chain == chain && line.Contains($"--comment \"{item.Comment}\"", StringComparison.Ordinal)
            );
    }

    /// <summary>The word after -j or -g outside of quotes; empty when the rule has no target.</summary>
    private static string Target(string line)
    {
        var bare = new StringBuilder(line.Length);
        var quoted = false;
        for (var index = 0; index < line.Length; index++)
        {
            if (line[index] == '\\')
                index++;
            else if (line[index] == '"')
                quoted = !quoted;
            else if (!quoted)
                bare.Append(line[index]);
        }

        var words = bare.ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var at = Array.FindIndex(words, word => word is "-j" or "-g");
        return at >= 0 && at + 1 < words.Length ? words[at + 1] : "";
    }

    private static bool IsChain(string name) => Array.Exists(ChainPrefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal));
}
