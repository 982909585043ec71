// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>
/// The programs through which netfilter is read and changed: <c>nft</c> and the iptables family. <see cref="NetfilterProgram"/> executes
/// them; the simulation answers for them.
/// </summary>
internal interface INetfilterPrograms
{
    /// <summary>Whether the node has the program.</summary>
    bool Exists(string name);

    /// <summary>
    /// Tables of iptables-legacy in the node's namespace; empty when nobody has used it.
    /// </summary>
    /// <exception cref="HostNetworkException">The kernel's list cannot be read.</exception>
    IReadOnlyList<string> LegacyTables();

    /// <summary>Runs a program to its end.</summary>
    /// <param name="program">Its name, without a path.</param>
    /// <param name="arguments">Its arguments; no shell interprets them.</param>
    /// <param name="input">Its standard input.</param>
    /// <param name="cancellationToken">Kills it.</param>
    /// <param name="keep">Selects the lines of output to return; null for all. A node with thousands of services prints tens of MB.</param>
    /// <returns>Null when the node has no such program.</returns>
    /// <exception cref="HostNetworkException">It cannot be started, exceeded its deadline, or printed too much.</exception>
    Task<ProgramOutcome?> TryRunAsync(
        string program,
        IReadOnlyList<string> arguments,
        string input,
        CancellationToken cancellationToken,
        LineFilter? keep = null
    );
}
