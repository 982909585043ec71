// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Tests;

/// <summary>Draws the same fraction each time, 0 to 1 inclusive.</summary>
internal sealed class FixedRandom(double sample) : Random
{
    public override double NextDouble() => sample;

    protected override double Sample() => sample;
}
