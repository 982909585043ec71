// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Recognises what the AWS VPC CNI wrote with iptables, by the names of its chains, by what leads to them and by the comments of its rules,
/// in the output of iptables-save, and says how to remove that and nothing else. Pure.
/// </summary>
internal sealed record AwsCniRules
{
    /// <summary>Its table where it uses nftables.</summary>
    public const string NftTable = "aws-cni";

    /// <summary>Of its rules that need no chain of their own.</summary>
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

    /// <summary>Input for <c>iptables-restore --noflush</c>: each table is one transaction. Null: nothing is left.</summary>
    public string? Removal { get; private init; }

    /// <summary>
    /// Somebody's rules that end POSTROUTING before its jump: what they accept was not translated by it, and is by us, whose chain they do
    /// not end.
    /// </summary>
    public IReadOnlyList<string> Exemptions { get; private init; } = [];

    /// <summary>
    /// Lines of iptables-save that <see cref="Find"/> needs: on a node with thousands of services all others are memory for nothing.
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

    /// <param name="saved">What iptables-save printed, at least the lines that matter.</param>
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

    /// <summary>All of a chain's rules go before any chain goes: chains of older versions lead to each other.</summary>
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
    /// Whatever its comment, a rule that leads to one of its chains is of no use without that chain, which cannot be removed while it leads
    /// there.
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

    /// <summary>What stands after -j or -g outside of quotes; empty when the rule has no target.</summary>
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
