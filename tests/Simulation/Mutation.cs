// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Startup;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// A planted bug, added from outside: other options, other ports, or a change of the engine's state. A null member changes nothing.
/// </summary>
internal sealed record Mutation(string Name)
{
    /// <summary>Intensifies the faults that reveal the bug, so that a test needs few seeds.</summary>
    public Func<Scenario, Scenario>? Focus { get; init; }

    public Func<IpamdOptions, IpamdOptions>? Options { get; init; }
    public Func<PoolPorts, PoolPorts>? Ports { get; init; }

    /// <summary>Replaces the kernel of the host network's reconciler.</summary>
    public Func<IHostKernel, IHostKernel>? Kernel { get; init; }

    /// <summary>Called after each step of the pool.</summary>
    public Action<PoolEngine, Random>? AfterStep { get; init; }

    public static Mutation None { get; } = new("none");
}
