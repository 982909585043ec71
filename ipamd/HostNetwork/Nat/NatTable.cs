// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// Our nftables table in the kernel. Replaced whole when it has to be another one, and when it is not as it was right after it was put there: how <c>nft</c> shows a table differs from how it is
/// written and from version to version, so what it shows then is what it must show later.
/// </summary>
internal sealed partial class NatTable(NetfilterProgram program)
{
    private string? _applied;
    private string? _shown;

    /// <summary>The table must be looked at: somebody changed it, or a while has passed.</summary>
    public bool IsDoubtful { get; set; } = true;

    /// <summary>Brings the kernel to what the script says. True when it was there before and somebody had changed it.</summary>
    /// <exception cref="HostNetworkException">It could not be done; what was there is still there.</exception>
    public async Task<NatOutcome> EnsureAsync(string script, CancellationToken cancellationToken)
    {
        var changes = script != _applied;
        if (!changes && !IsDoubtful) return NatOutcome.Right;
        // What changes from here on raises the doubt again.
        IsDoubtful = false;
        try
        {
            if (!changes && await ShowAsync(cancellationToken) is { } shown && shown == _shown) return NatOutcome.Right;
            await RunAsync(["-f", "-"], script, cancellationToken);
            _shown = await ShowAsync(cancellationToken);
            // Somebody was faster: what is shown is not what was put there, and must not be what later looks are content with.
            if (_shown is null || !Chains().Matches(script).All(chain => _shown.Contains(chain.Value, StringComparison.Ordinal))) (_shown, IsDoubtful) = (null, true);
            (var first, _applied) = (_applied is null, script);
            return changes ? first ? NatOutcome.PutThere : NatOutcome.Updated : NatOutcome.Repaired;
        }
        catch
        {
            IsDoubtful = true;
            throw;
        }
    }

    /// <summary>Without the values of counters; null when there is no such table.</summary>
    private async Task<string?> ShowAsync(CancellationToken cancellationToken)
    {
        var outcome = await TryAsync(["-s", "list", "table", "ip", NatRules.Table], "", cancellationToken);
        if (outcome.ExitCode == 0) return outcome.Output;
        return outcome.Errors.Contains("No such file or directory", StringComparison.Ordinal)
            ? null
            : throw new HostNetworkException($"nft does not show table ip {NatRules.Table} (exit code {outcome.ExitCode}): {outcome.Errors.Trim()}");
    }

    [GeneratedRegex(@"chain [\w-]+ \{", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Chains();

    private async Task RunAsync(IReadOnlyList<string> arguments, string script, CancellationToken cancellationToken)
    {
        var outcome = await TryAsync(arguments, script, cancellationToken);
        if (outcome.ExitCode != 0) throw new HostNetworkException($"nft refuses the NAT table (exit code {outcome.ExitCode}): {outcome.Errors.Trim()}");
    }

    private async Task<ProgramOutcome> TryAsync(IReadOnlyList<string> arguments, string script, CancellationToken cancellationToken)
        => await program.TryRunAsync("nft", arguments, script, cancellationToken)
            ?? throw new HostNetworkException("there is no program nft on this node (package nftables): pods reach nothing outside of the VPC, and node ports of pods on secondary interfaces do not answer");
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
