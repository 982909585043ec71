// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Our nftables table in the kernel. Replaced as a whole when the desired table changes, and when its output differs from that right after
/// it was applied: how <c>nft</c> prints a table differs from how it is written, and between versions.
/// </summary>
internal sealed partial class NatTable(INetfilterPrograms program)
{
    private string? _applied;
    private string? _shown;

    /// <summary>
    /// Whether there may be a table of IPv6 that is not desired; true until it is known, since an earlier daemon run may have made one.
    /// </summary>
    private bool _mayHaveUndesired = true;

    /// <summary>Whether the table must be read: it was changed, or the interval has passed.</summary>
    public bool NeedsCheck { get; set; } = true;

    /// <summary>Whether the table must be read or replaced.</summary>
    public bool IsDue(NatDeclaration declared) => NeedsCheck || declared.Script != _applied;

    /// <summary>Applies the desired table where the kernel's differs.</summary>
    /// <exception cref="HostNetworkException">It failed; the previous table is unchanged.</exception>
    public async Task<NatOutcome> EnsureAsync(NatDeclaration declared, CancellationToken cancellationToken)
    {
        if (!IsDue(declared))
            return NatOutcome.Right;
        var (script, changes) = (declared.Script, declared.Script != _applied);
        // Before the read: a later change requests another one.
        NeedsCheck = false;
        try
        {
            await RemoveUndesiredAsync(declared, cancellationToken);
            if (!changes && await ShowAsync(declared, cancellationToken) is { } shown && shown == _shown)
                return NatOutcome.Right;
            if (!declared.IsNeeded)
                return await RemoveAsync(script, cancellationToken);
            await RunAsync(script, cancellationToken);
            _shown = await ShowAsync(declared, cancellationToken);
            // Another program changed it meanwhile: this output must not be what later ones are compared with.
            if (_shown is null || !Chains().Matches(script).All(chain => _shown.Contains(chain.Value, StringComparison.Ordinal)))
                (_shown, NeedsCheck) = (null, true);
            (var first, _applied) = (_applied is null, script);
            return changes
                ? first
                    ? NatOutcome.Added
                    : NatOutcome.Updated
                : NatOutcome.Repaired;
        }
        catch
        {
            NeedsCheck = true;
            throw;
        }
    }

    /// <summary>Removes the table. A node that needs none needs no program for it either.</summary>
    private async Task<NatOutcome> RemoveAsync(string script, CancellationToken cancellationToken)
    {
        if (program.Exists("nft") && await ShowAsync("ip", cancellationToken) is not null)
            await RunAsync(script, cancellationToken);
        (_applied, _shown) = (script, null);
        return NatOutcome.Right;
    }

    /// <summary>Removes the table of IPv6 of an earlier mode.</summary>
    private async Task RemoveUndesiredAsync(NatDeclaration declared, CancellationToken cancellationToken)
    {
        if (declared.HasIpv6)
        {
            _mayHaveUndesired = true;
            return;
        }

        if (!_mayHaveUndesired || !program.Exists("nft"))
            return;
        var tables = await TryAsync(["list", "tables"], "", cancellationToken);
        if (tables.ExitCode != 0)
            throw new HostNetworkException($"nft does not list the tables (exit code {tables.ExitCode}): {tables.Message}");
        if (tables.Output.Contains($"table ip6 {NatRules.Table}\n", StringComparison.Ordinal))
            await RunAsync($"delete table ip6 {NatRules.Table}\n", cancellationToken);
        _mayHaveUndesired = false;
    }

    /// <summary>The tables as nft prints them, without the values of counters; null when one is missing.</summary>
    private async Task<string?> ShowAsync(NatDeclaration declared, CancellationToken cancellationToken)
    {
        var all = "";
        foreach (var family in declared.Families)
        {
            if (await ShowAsync(family, cancellationToken) is not { } shown)
                return null;
            all += shown;
        }

        return all;
    }

    private async Task<string?> ShowAsync(string family, CancellationToken cancellationToken)
    {
        var outcome = await TryAsync(["-s", "list", "table", family, NatRules.Table], "", cancellationToken);
        if (outcome.ExitCode == 0)
            return outcome.Output;
        return outcome.Errors.Contains("No such file or directory", StringComparison.Ordinal)
            ? null
            : throw new HostNetworkException(
                $"nft does not show table {family} {NatRules.Table} (exit code {outcome.ExitCode}): {outcome.Message}"
            );
    }

    [GeneratedRegex(@"chain [\w-]+ \{", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Chains();

    private async Task RunAsync(string script, CancellationToken cancellationToken)
    {
        var outcome = await TryAsync(["-f", "-"], script, cancellationToken);
        if (outcome.ExitCode != 0)
            throw new HostNetworkException($"nft refuses the NAT table (exit code {outcome.ExitCode}): {outcome.Message}");
    }

    private async Task<ProgramOutcome> TryAsync(IReadOnlyList<string> arguments, string script, CancellationToken cancellationToken) =>
        await program.TryRunAsync("nft", arguments, script, cancellationToken)
        ?? throw new HostNetworkException(
            "there is no program nft on this node (package nftables): pods reach nothing outside of the VPC, and node ports of pods "
                + "on secondary interfaces do not answer"
        );
}

/// <summary>The desired table.</summary>
/// <param name="Script">Script for nft.</param>
/// <param name="HasIpv4">Whether there is a table of IPv4.</param>
/// <param name="HasIpv6">Whether there is a table of IPv6.</param>
/// <param name="Ranges">Number of ranges of the VPC, for the log.</param>
internal sealed record NatDeclaration(string Script, bool HasIpv4, bool HasIpv6, int Ranges)
{
    public bool IsNeeded => HasIpv4 || HasIpv6;

    /// <summary>Families of the tables, as nft names them.</summary>
    public IEnumerable<string> Families
    {
        get
        {
            if (HasIpv4)
                yield return "ip";
            if (HasIpv6)
                yield return "ip6";
        }
    }

    public static NatDeclaration Of(NatSettings settings) =>
        new(NatRules.Script(settings), settings.NeedsIpv4, settings.NeedsIpv6, settings.VpcRanges.Count);
}

/// <summary>The outcome of <see cref="NatTable.EnsureAsync"/>.</summary>
internal enum NatOutcome
{
    Right,

    /// <summary>Applied for the first time since the start.</summary>
    Added,

    /// <summary>Replaced because the desired table changed.</summary>
    Updated,

    /// <summary>Replaced because another program had changed it.</summary>
    Repaired,
}
