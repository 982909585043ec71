// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation;

/// <summary>Runs the model of EC2 in virtual time.</summary>
internal static class ModelWorld
{
    /// <summary>Creates a world whose pending changes complete when they are due.</summary>
    public static VpcWorld Create(VirtualTime time, Random random, WorldOptions? options = null)
    {
        var world = new VpcWorld(time, random, options);
        DateTimeOffset? armed = null;
        world.TransitionScheduled = Arm;
        return world;

        void Arm()
        {
            if (world.NextTransitionAt is not { } at || armed <= at)
                return;
            armed = at;
            time.After(
                at - time.GetUtcNow(),
                () =>
                {
                    if (armed == at)
                        armed = null;
                    world.CompleteDueTransitions();
                    Arm();
                }
            );
        }
    }
}
