// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>The outcome of a removal of our table.</summary>
internal enum NatRemovalOutcome
{
    NotThere,
    Removed,

    /// <summary>Kept, because no other rules translate yet: running pods would lose the outside.</summary>
    Kept,
}

/// <summary>
/// Removes our table for a return to the AWS VPC CNI: the table outlives the daemon and would keep translating with outdated ranges.
/// Removes it once the other rules exist. Established connections keep their translation.
/// </summary>
internal sealed class NatRemoval(INetfilterPrograms program)
{
    /// <param name="always">Removes it also when nothing replaces it.</param>
    /// <param name="cancellationToken">Cancels the removal.</param>
    /// <exception cref="HostNetworkException">The table could not be read or removed.</exception>
    public async Task<NatRemovalOutcome> RemoveAsync(bool always, CancellationToken cancellationToken)
    {
        // Without the program the daemon cannot have made the table.
        if (await program.TryRunAsync("nft", ["list", "tables"], "", cancellationToken) is not { } tables)
            return NatRemovalOutcome.NotThere;
        if (tables.ExitCode != 0)
            throw new HostNetworkException($"nft does not list the tables (exit code {tables.ExitCode}): {tables.Message}");
        string[] present =
        [
            .. tables
                .Output.Split('\n', StringSplitOptions.TrimEntries)
                .Where(line => line is $"table ip {NatRules.Table}" or $"table ip6 {NatRules.Table}"),
        ];
        if (present.Length == 0)
            return NatRemovalOutcome.NotThere;
        if (!always && !await new ReferenceCleanup(program).IsThereAsync(cancellationToken))
            return NatRemovalOutcome.Kept;
        var script = string.Concat(present.Select(table => $"delete {table}\n"));
        var removed = await program.TryRunAsync("nft", ["-f", "-"], script, cancellationToken);
        return removed is { ExitCode: 0 }
            ? NatRemovalOutcome.Removed
            : throw new HostNetworkException($"nft does not remove the tables {NatRules.Table}: {removed?.Message}");
    }
}
