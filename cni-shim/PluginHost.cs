// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>Everything that one run gets from its process. Program fills it from the real process, tests from memory.</summary>
internal sealed class PluginHost
{
    public required Func<string, string?> Environment { get; init; }

    /// <summary>Arguments of the command line. A runtime passes none.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>The network configuration. Read to its end once, with a bound on its size.</summary>
    public required Stream Stdin { get; init; }

    /// <summary>Gets exactly one write: the result, the error or the versions.</summary>
    public required Stream Stdout { get; init; }

    public required Stream Stderr { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Source of MAC addresses.</summary>
    public required Random Random { get; init; }
}
