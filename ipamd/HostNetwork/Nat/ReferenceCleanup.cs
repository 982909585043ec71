// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>The outcome of a cleanup.</summary>
/// <param name="Removed">Whether anything was removed.</param>
/// <param name="Exemptions">See <see cref="AwsCniRules.Exemptions"/>.</param>
internal sealed record CleanupOutcome(bool Removed, IReadOnlyList<string> Exemptions);

/// <summary>
/// Removes what the AWS VPC CNI left in netfilter, once our table is in place. Established connections keep their translation; new ones
/// match either rule or both, which do the same.
/// </summary>
internal sealed class ReferenceCleanup(INetfilterPrograms program)
{
    /// <summary>The tables of iptables that the AWS VPC CNI uses.</summary>
    private static readonly string[] Tables = ["nat", "mangle"];

    /// <summary>Removes the rules that are found.</summary>
    /// <exception cref="HostNetworkException">Rules are left, or may be, and could not be removed.</exception>
    public async Task<CleanupOutcome> RemoveAsync(CancellationToken cancellationToken)
    {
        var tables = await NftTablesAsync(cancellationToken);
        var removed = await RemoveTableAsync(tables, cancellationToken);
        List<string> exemptions = [];
        foreach (var kind in await KindsAsync(tables, cancellationToken))
        {
            var left = await FindAsync(kind, cancellationToken);
            if (left.Removal is null)
                continue;
            await RunAsync($"{kind}-restore", ["--noflush", "--wait=5"], left.Removal, cancellationToken);
            exemptions.AddRange(left.Exemptions);
            removed = true;
        }

        return new CleanupOutcome(removed, exemptions);
    }

    /// <summary>Whether the AWS VPC CNI has rules in netfilter.</summary>
    /// <exception cref="HostNetworkException">The rules could not be read.</exception>
    public async Task<bool> IsThereAsync(CancellationToken cancellationToken)
    {
        var tables = await NftTablesAsync(cancellationToken);
        if (tables.Contains(AwsCniRules.NftTable))
            return true;
        foreach (var kind in await KindsAsync(tables, cancellationToken))
        {
            if ((await FindAsync(kind, cancellationToken)).Removal is not null)
                return true;
        }

        return false;
    }

    /// <summary>
    /// The kinds of iptables with tables on the node, which may have both. Programs of a kind without tables are not run: they would create
    /// them.
    /// </summary>
    /// <exception cref="HostNetworkException">The node has its rules and no program to remove them.</exception>
    private async Task<IReadOnlyList<string>> KindsAsync(IReadOnlyCollection<string> nftTables, CancellationToken cancellationToken)
    {
        List<string> kinds = [];
        if (program.LegacyTables().Intersect(Tables).Any())
            kinds.Add("iptables-legacy");
        if (nftTables.Intersect(Tables).Any() && (program.Exists("iptables-nft-save") || await IsInNftAsync(nftTables, cancellationToken)))
            kinds.Add("iptables-nft");
        return kinds;
    }

    private async Task<AwsCniRules> FindAsync(string kind, CancellationToken cancellationToken)
    {
        var saved =
            await program.TryRunAsync($"{kind}-save", [], "", cancellationToken, AwsCniRules.Matters)
            ?? throw new HostNetworkException(
                $"this node has rules of {kind}, and no program {kind}-save to look for those of the AWS VPC CNI among them: they "
                    + "would keep translating with outdated ranges"
            );
        return saved.ExitCode == 0
            ? AwsCniRules.Find(saved.Output)
            : throw new HostNetworkException(
                $"rules of the AWS VPC CNI may be left: {kind}-save does not show them (exit code {saved.ExitCode}): {saved.Message}"
            );
    }

    /// <summary>Whether nft shows rules of iptables-nft; it cannot remove them.</summary>
    private async Task<bool> IsInNftAsync(IReadOnlyCollection<string> tables, CancellationToken cancellationToken)
    {
        var chains = await program.TryRunAsync("nft", ["list", "chains", "ip"], "", cancellationToken, AwsCniRules.NamesChain);
        if (chains is { ExitCode: 0, Output.Length: > 0 })
            return true;
        if (!tables.Contains("mangle"))
            return false;
        var rules = await program.TryRunAsync(
            "nft",
            ["list", "chain", "ip", "mangle", "PREROUTING"],
            "",
            cancellationToken,
            line => line.Contains(AwsCniRules.PrimaryComment, StringComparison.Ordinal)
        );
        return rules is { ExitCode: 0, Output.Length: > 0 };
    }

    private async Task<IReadOnlyCollection<string>> NftTablesAsync(CancellationToken cancellationToken)
    {
        const string prefix = "table ip ";
        // Without nft nothing of nftables can be removed, or was made by us.
        if (await program.TryRunAsync("nft", ["list", "tables", "ip"], "", cancellationToken) is not { } listed)
            return [];
        if (listed.ExitCode != 0)
            throw new HostNetworkException(
                $"rules of the AWS VPC CNI may be left: nft does not list the tables (exit code {listed.ExitCode}): {listed.Message}"
            );
        return
        [
            .. listed
                .Output.Split('\n', StringSplitOptions.TrimEntries)
                .Where(line => line.StartsWith(prefix, StringComparison.Ordinal))
                .Select(line => line[prefix.Length..]),
        ];
    }

    private async Task<bool> RemoveTableAsync(IReadOnlyCollection<string> tables, CancellationToken cancellationToken)
    {
        if (!tables.Contains(AwsCniRules.NftTable))
            return false;
        await RunAsync("nft", ["-f", "-"], $"delete table ip {AwsCniRules.NftTable}\n", cancellationToken);
        return true;
    }

    private async Task RunAsync(string name, IReadOnlyList<string> arguments, string input, CancellationToken cancellationToken)
    {
        var outcome =
            await program.TryRunAsync(name, arguments, input, cancellationToken)
            ?? throw new HostNetworkException($"rules of the AWS VPC CNI are left: there is no program {name} to remove them");
        if (outcome.ExitCode != 0)
            throw new HostNetworkException(
                $"rules of the AWS VPC CNI are left: {name} refuses to remove them (exit code {outcome.ExitCode}): {outcome.Message}"
            );
    }
}
