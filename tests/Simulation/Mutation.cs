// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Startup;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// What a planted bug may do, all of it from outside: other options, other ports, and a hand in the engine's state. Null members leave
/// everything as it is.
/// </summary>
internal sealed record Mutation(string Name)
{
    /// <summary>More of the trouble in which the bug shows, so that a test needs few seeds.</summary>
    public Func<Scenario, Scenario>? Focus { get; init; }

    public Func<IpamdOptions, IpamdOptions>? Options { get; init; }
    public Func<PoolPorts, PoolPorts>? Ports { get; init; }

    /// <summary>After each step of the pool.</summary>
    public Action<PoolEngine, Random>? AfterStep { get; init; }

    public static Mutation None { get; } = new("none");
}
