// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.HostNetwork.Nat;

namespace VpcCni.Ipamd.Tests.Harness;

/// <summary>The command line of the program, without commands that change the machine.</summary>
internal static class TestCommands
{
    /// <param name="console">Output streams.</param>
    /// <param name="time">Clock for deadlines; the real one by default.</param>
    /// <param name="nodeCommands">Commands that change the node without the daemon; none by default.</param>
    /// <param name="removeTranslation">Removes source NAT; by default there is none.</param>
    public static DaemonCommands Create(
        CommandConsole console,
        TimeProvider? time = null,
        IReadOnlyList<Func<Option<bool>, Command>>? nodeCommands = null,
        Func<bool, CancellationToken, Task<NatRemovalOutcome>>? removeTranslation = null
    ) =>
        new(console, "test", time ?? TimeProvider.System, _ => throw new InvalidOperationException("the daemon was started"))
        {
            NodeCommands = nodeCommands ?? [],
            RemoveTranslation = removeTranslation ?? ((_, _) => Task.FromResult(NatRemovalOutcome.NotThere)),
        };
}
