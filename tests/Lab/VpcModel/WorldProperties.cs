// SPDX-License-Identifier: Apache-2.0
using System.Net;
using FsCheck;
using FsCheck.Fluent;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

/// <summary>
/// Runs random sequences of calls, any of which may fail. After each call the invariants hold (<see cref="WorldInvariants"/>: no address on
/// two interfaces, free counts, slots, alignment), a failed call has changed nothing, and the events add up to the world's state.
/// </summary>
public sealed class WorldProperties
{
    private const int Steps = 120;

    [Fact]
    public void World_keeps_its_invariants_under_random_operations() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(60), Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed => Live(seed)));

    private static void Live(int seed)
    {
        var random = new Random(seed);
        var test = new TestWorld(seed: seed, subnet: random.Next(2) == 0 ? "10.0.1.0/26" : "10.0.1.0/24");
        var replay = new EventReplay();
        test.World.Subscribe(replay.Apply);
        test.World.Timing.AttachLatency = TimeSpan.FromSeconds(random.Next(3));
        test.World.Timing.DetachLatency = TimeSpan.FromSeconds(random.Next(3));
        if (random.Next(3) == 0)
            test.World.Faults.Add(
                new FaultRule
                {
                    Operation = "*",
                    Probability = 0.1,
                    Times = null,
                }
            );
        if (random.Next(2) == 0)
            test.World.LimitIpv6Range(test.SubnetA.Id, random.Next(6));
        test.Launch("t3.small");
        test.Launch("m5.large");
        test.Launch("m4.large");
        for (var step = 0; step < Steps; step++)
        {
            var before = test.World.Interfaces.ToArray();
            try
            {
                Step(test, random);
            }
            catch (Ec2FaultException)
            {
                Assert.Equal(before, test.World.Interfaces);
            }

            if (WorldInvariants.Check(test.World) is { Count: > 0 } problems)
                Assert.Fail($"seed {seed}, step {step}: {string.Join("; ", problems)}");
            replay.Check(test.World);
        }
    }

    private static void Step(TestWorld test, Random random)
    {
        // Complete due transitions first, to distinguish their changes from those of a failed call.
        var world = test.World;
        var enis = world.Interfaces.ToArray();
        var eni = enis[random.Next(enis.Length)];
        switch (random.Next(12))
        {
            case 0 or 1:
                test.Create(
                    Wanted(random),
                    random.Next(4) == 0 ? test.SubnetB.Id : test.SubnetA.Id,
                    token: random.Next(3) == 0 ? $"token-{random.Next(5)}" : null
                );
                break;
            case 2 or 3:
                var instances = world.Instances.ToArray();
                world.AttachNetworkInterface(
                    new AttachInterfaceRequest(eni.Id, instances[random.Next(instances.Length)].Id, random.Next(1, 5))
                );
                break;
            case 4:
                world.DetachNetworkInterface(eni.Attachment?.Id ?? new AttachmentId("eni-attach-0"), force: random.Next(3) == 0);
                break;
            case 5:
                world.DeleteNetworkInterface(eni.Id);
                break;
            case 6 or 7:
                world.AssignPrivateIpAddresses(eni.Id, Wanted(random));
                break;
            case 8:
                var other = enis[random.Next(enis.Length)];
                world.AssignPrivateIpAddresses(
                    eni.Id,
                    new AddressRequest { Addresses = [.. other.SecondaryAddresses.Take(2)] },
                    allowReassignment: random.Next(2) == 0
                );
                break;
            case 9:
                if (random.Next(2) == 0)
                    world.UnassignPrivateIpAddresses(eni.Id, [.. eni.SecondaryAddresses.Take(random.Next(3))], []);
                else
                    world.UnassignPrivateIpAddresses(eni.Id, [], [.. eni.Ipv4Prefixes.Take(random.Next(3))]);
                break;
            case 10:
                if (random.Next(2) == 0)
                    world.AssignIpv6Addresses(eni.Id, Wanted(random));
                else if (random.Next(2) == 0)
                    world.UnassignIpv6Addresses(eni.Id, [.. eni.Ipv6Addresses.Take(1)], []);
                else
                    world.UnassignIpv6Addresses(eni.Id, [], [.. eni.Ipv6Prefixes.Take(random.Next(1, 3))]);
                break;
            default:
                test.Time.Advance(TimeSpan.FromSeconds(random.Next(3)));
                world.CompleteDueTransitions();
                break;
        }
    }

    private static AddressRequest Wanted(Random random) =>
        random.Next(2) == 0 ? AddressRequest.Any(random.Next(8)) : AddressRequest.AnyPrefixes(random.Next(4));

    /// <summary>The world's state as computed from its events, as a fabric does.</summary>
    private sealed class EventReplay
    {
        private readonly Dictionary<EniId, InstanceId> _attached = [];
        private readonly Dictionary<EniId, IReadOnlyList<IPNetwork>> _ranges = [];

        public void Apply(VpcEvent @event)
        {
            switch (@event)
            {
                case VpcEvent.InterfaceAttached attached:
                    _attached.Add(attached.Interface, attached.Instance);
                    break;
                case VpcEvent.InterfaceDetached detached:
                    _attached.Remove(detached.Interface);
                    break;
                case VpcEvent.AddressesChanged { Ranges.Count: 0 } deleted:
                    _ranges.Remove(deleted.Interface);
                    break;
                case VpcEvent.AddressesChanged changed:
                    _ranges[changed.Interface] = changed.Ranges;
                    break;
            }
        }

        public void Check(VpcWorld world)
        {
            Assert.Equal(
                world.Interfaces.ToDictionary(eni => eni.Id, eni => string.Join(' ', eni.AllRanges)),
                _ranges.ToDictionary(pair => pair.Key, pair => string.Join(' ', pair.Value))
            );
            var present = world.Interfaces.Where(eni => eni.Attachment is { Status: not AttachmentStatus.Attaching });
            Assert.Subset(
                _attached.Keys.ToHashSet(),
                present.Where(eni => eni.Attachment!.Status == AttachmentStatus.Attached).Select(eni => eni.Id).ToHashSet()
            );
            Assert.Subset(present.Select(eni => eni.Id).ToHashSet(), _attached.Keys.ToHashSet());
        }
    }
}
