// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Removes what the AWS VPC CNI left in netfilter, once ours does its work: connections that it translated keep their translation, which is the connection's and not the rule's, and new ones meet
/// either rule or both, which say the same.
/// </summary>
internal sealed class ReferenceCleanup(NetfilterProgram program)
{
    /// <summary>The two kinds of iptables; a node may have rules of both. Each saves only the tables that are there and makes none.</summary>
    private static readonly string[] Kinds = ["iptables-legacy", "iptables-nft"];

    /// <summary>True when something was there.</summary>
    /// <exception cref="HostNetworkException">Something is there and could not be removed.</exception>
    public async Task<bool> RemoveAsync(CancellationToken cancellationToken)
    {
        var removed = await RemoveTableAsync(cancellationToken);
        foreach (var kind in Kinds) removed |= await RemoveRulesAsync(kind, cancellationToken);
        return removed;
    }

    private async Task<bool> RemoveTableAsync(CancellationToken cancellationToken)
    {
        if (await program.TryRunAsync("nft", ["list", "tables", "ip"], "", cancellationToken) is not { ExitCode: 0 } tables) return false;
        if (!tables.Output.Split('\n', StringSplitOptions.TrimEntries).Contains($"table ip {ReferenceLeftovers.NftTable}")) return false;
        await RunAsync("nft", ["-f", "-"], $"delete table ip {ReferenceLeftovers.NftTable}\n", cancellationToken);
        return true;
    }

    private async Task<bool> RemoveRulesAsync(string kind, CancellationToken cancellationToken)
    {
        // A node without the program, or whose kernel lacks that kind, has no rules of it.
        if (await program.TryRunAsync($"{kind}-save", [], "", cancellationToken) is not { ExitCode: 0 } saved || ReferenceLeftovers.Removal(saved.Output) is not { } removal) return false;
        await RunAsync($"{kind}-restore", ["--noflush", "--wait=5"], removal, cancellationToken);
        return true;
    }

    private async Task RunAsync(string name, IReadOnlyList<string> arguments, string input, CancellationToken cancellationToken)
    {
        if (await program.TryRunAsync(name, arguments, input, cancellationToken) is { ExitCode: not 0 } outcome)
            throw new HostNetworkException($"rules of the AWS VPC CNI are left: {name} refuses to remove them (exit code {outcome.ExitCode}): {outcome.Errors.Trim()}");
    }
}
