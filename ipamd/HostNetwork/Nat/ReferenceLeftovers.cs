// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Recognises what the AWS VPC CNI wrote with iptables, by the names of its chains and by the comments of its rules, in the output of iptables-save, and says how to remove that and nothing else. Pure.
/// </summary>
internal static class ReferenceLeftovers
{
    /// <summary>Its table where it uses nftables.</summary>
    public const string NftTable = "aws-cni";

    private static readonly string[] ChainPrefixes = ["AWS-SNAT-CHAIN-", "AWS-CONNMARK-CHAIN-"];

    /// <summary>Comments of its rules in chains that are not its own, by table and chain.</summary>
    private static readonly (string Table, string Chain, string Comment)[] Comments =
    [
        ("nat", "POSTROUTING", "AWS SNAT CHAIN"),
        ("nat", "PREROUTING", "AWS, outbound connections"),
        ("nat", "PREROUTING", "AWS, CONNMARK"),
        ("mangle", "PREROUTING", "AWS, primary ENI"),
    ];

    /// <summary>Input for <c>iptables-restore --noflush</c>: each table is one transaction. Null: nothing is left.</summary>
    public static string? Removal(string saved)
    {
        var script = new StringBuilder();
        var table = "";
        List<string> rules = [], chains = [];
        foreach (var line in saved.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] == '*') (table, rules, chains) = (line[1..], [], []);
            else if (line[0] == ':' && IsChain(line[1..])) chains.Add(line[1..line.IndexOf(' ', StringComparison.Ordinal)]);
            else if (line.StartsWith("-A ", StringComparison.Ordinal) && IsRule(table, line)) rules.Add($"-D{line[2..]}");
            else if (line == "COMMIT" && rules.Count + chains.Count > 0) Append(script, table, rules, chains);
        }

        return script.Length == 0 ? null : script.ToString();
    }

    /// <summary>All of a chain's rules go before any chain goes: chains of older versions lead to each other.</summary>
    private static void Append(StringBuilder script, string table, List<string> rules, List<string> chains)
    {
        script.Append('*').Append(table).Append('\n');
        foreach (var rule in rules) script.Append(rule).Append('\n');
        foreach (var chain in chains) script.Append("-F ").Append(chain).Append('\n');
        foreach (var chain in chains) script.Append("-X ").Append(chain).Append('\n');
        script.Append("COMMIT\n");
    }

    private static bool IsRule(string table, string line)
    {
        var chain = line.Split(' ')[1];
        return Comments.Any(item => item.Table == table && item.Chain == chain && line.Contains($"--comment \"{item.Comment}\"", StringComparison.Ordinal));
    }

    private static bool IsChain(string name) => Array.Exists(ChainPrefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal));
}
