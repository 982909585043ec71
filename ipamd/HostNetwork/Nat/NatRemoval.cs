// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>What became of our table.</summary>
internal enum NatRemovalOutcome
{
    NotThere,
    Removed,

    /// <summary>Nothing else translates yet: pods that run would lose the outside.</summary>
    Kept,
}

/// <summary>
/// The way back to the AWS VPC CNI: our table outlives the daemon, and would go on translating with the ranges of our last day, and against
/// its settings. It goes when its rules are there, without a gap for connections that run: their translation is the connection's.
/// </summary>
internal sealed class NatRemoval(INetfilterPrograms program)
{
    /// <param name="always">Also when nothing takes its place.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="HostNetworkException">The kernel could not be asked, or refuses.</exception>
    public async Task<NatRemovalOutcome> RemoveAsync(bool always, CancellationToken cancellationToken)
    {
        // Without the program the table cannot have come from here.
        if (await program.TryRunAsync("nft", ["list", "tables", "ip"], "", cancellationToken) is not { } tables)
            return NatRemovalOutcome.NotThere;
        if (tables.ExitCode != 0)
            throw new HostNetworkException($"nft does not list the tables (exit code {tables.ExitCode}): {tables.Message}");
        if (!tables.Output.Split('\n', StringSplitOptions.TrimEntries).Contains($"table ip {NatRules.Table}"))
            return NatRemovalOutcome.NotThere;
        if (!always && !await new ReferenceCleanup(program).IsThereAsync(cancellationToken))
            return NatRemovalOutcome.Kept;
        var removed = await program.TryRunAsync("nft", ["-f", "-"], $"delete table ip {NatRules.Table}\n", cancellationToken);
        return removed is { ExitCode: 0 }
            ? NatRemovalOutcome.Removed
            : throw new HostNetworkException($"nft does not remove table ip {NatRules.Table}: {removed?.Message}");
    }
}
