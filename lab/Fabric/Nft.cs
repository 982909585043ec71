// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>Runs <c>nft</c> inside one namespace. A script is one kernel transaction: it takes effect whole or not at all.</summary>
internal sealed class Nft(NetworkNamespace network, TimeProvider time)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Applies a script of nft statements atomically.</summary>
    public Task ApplyAsync(string script, CancellationToken cancellationToken) => RunAsync(["-f", "-"], script, cancellationToken);

    /// <summary>The output of <c>nft -j list counters</c> for one table.</summary>
    public Task<string> ListCountersAsync(string table, CancellationToken cancellationToken) =>
        RunAsync(["-j", "list", "counters", "table", "ip", table], input: "", cancellationToken);

    private async Task<string> RunAsync(IReadOnlyList<string> arguments, string input, CancellationToken cancellationToken)
    {
        var outcome = await NamespaceProcess.RunAsync(
            network,
            new ProcessStartInfo("nft", arguments),
            input,
            Deadline,
            time,
            cancellationToken
        );
        if (outcome.ExitCode == 0)
            return outcome.Output;
        throw new FabricException(
            $"nft {string.Join(' ', arguments)} failed with {outcome.ExitCode}: {outcome.Errors.Trim()}\nscript:\n{input}"
        );
    }
}
