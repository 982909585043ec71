// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Our nftables table in the kernel. Replaced whole when it has to be another one, and when it is not as it was right after it was put
/// there: how <c>nft</c> shows a table differs from how it is written and from version to version, so what it shows then is what it must
/// show later.
/// </summary>
internal sealed partial class NatTable(INetfilterPrograms program)
{
    private string? _applied;
    private string? _shown;

    /// <summary>The table must be looked at: somebody changed it, or a while has passed.</summary>
    public bool IsDoubtful { get; set; } = true;

    /// <summary>Whether there is anything to do or to look at.</summary>
    public bool IsDue(NatDeclaration declared) => IsDoubtful || declared.Script != _applied;

    /// <summary>Brings the kernel to what is declared.</summary>
    /// <exception cref="HostNetworkException">It could not be done; what was there is still there.</exception>
    public async Task<NatOutcome> EnsureAsync(NatDeclaration declared, CancellationToken cancellationToken)
    {
        if (!IsDue(declared))
            return NatOutcome.Right;
        var (script, changes) = (declared.Script, declared.Script != _applied);
        // What changes from here on raises the doubt again.
        IsDoubtful = false;
        try
        {
            if (!changes && await ShowAsync(cancellationToken) is { } shown && shown == _shown)
                return NatOutcome.Right;
            if (!declared.IsNeeded)
                return await RemoveAsync(script, cancellationToken);
            await RunAsync(script, cancellationToken);
            _shown = await ShowAsync(cancellationToken);
            // Somebody was faster: what is shown is not what was put there, and must not be what later looks are content with.
            if (_shown is null || !Chains().Matches(script).All(chain => _shown.Contains(chain.Value, StringComparison.Ordinal)))
                (_shown, IsDoubtful) = (null, true);
            (var first, _applied) = (_applied is null, script);
            return changes
                ? first
                    ? NatOutcome.PutThere
                    : NatOutcome.Updated
                : NatOutcome.Repaired;
        }
        catch
        {
            IsDoubtful = true;
            throw;
        }
    }

    /// <summary>A node that needs no table needs no program for it either.</summary>
    private async Task<NatOutcome> RemoveAsync(string script, CancellationToken cancellationToken)
    {
        if (program.Exists("nft") && await ShowAsync(cancellationToken) is not null)
            await RunAsync(script, cancellationToken);
        (_applied, _shown) = (script, null);
        return NatOutcome.Right;
    }

    /// <summary>Without the values of counters; null when there is no such table.</summary>
    private async Task<string?> ShowAsync(CancellationToken cancellationToken)
    {
        var outcome = await TryAsync(["-s", "list", "table", "ip", NatRules.Table], "", cancellationToken);
        if (outcome.ExitCode == 0)
            return outcome.Output;
        return outcome.Errors.Contains("No such file or directory", StringComparison.Ordinal)
            ? null
            : throw new HostNetworkException(
                $"nft does not show table ip {NatRules.Table} (exit code {outcome.ExitCode}): {outcome.Message}"
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

/// <summary>What the table must be.</summary>
/// <param name="Script">For nft.</param>
/// <param name="IsNeeded">False: there must be none.</param>
/// <param name="Ranges">Of the VPC; for the log.</param>
internal sealed record NatDeclaration(string Script, bool IsNeeded, int Ranges)
{
    public static NatDeclaration Of(NatSettings settings) =>
        new(NatRules.Script(settings), settings.Options.UsesMark, settings.VpcRanges.Count);
}

/// <summary>What was found and done.</summary>
internal enum NatOutcome
{
    Right,

    /// <summary>The first time since the start.</summary>
    PutThere,

    /// <summary>It has to be another one than before: ranges or links changed.</summary>
    Updated,

    /// <summary>Somebody had changed it.</summary>
    Repaired,
}
