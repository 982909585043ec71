// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>Runs <c>nft</c> in a namespace. The kernel applies a script as one transaction.</summary>
internal sealed class Nft(NetworkNamespace network, TimeProvider time)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Applies a script atomically.</summary>
    /// <exception cref="FabricException">nft failed; nothing was applied.</exception>
    public Task ApplyAsync(string script, CancellationToken cancellationToken) => RunAsync(["-f", "-"], script, cancellationToken);

    /// <summary>Returns the output of <c>nft -j list counters</c> for a table of a family.</summary>
    public Task<string> ListCountersAsync(string family, string table, CancellationToken cancellationToken) =>
        RunAsync(["-j", "list", "counters", "table", family, table], input: "", cancellationToken);

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
            $"nft {string.Join(' ', arguments)} failed with exit code {outcome.ExitCode}: {outcome.Errors.Trim()}\nscript:\n{input}"
        );
    }
}
