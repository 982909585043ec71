// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Planning;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Tests.Planning;

/// <summary>
/// A node whose cloud executes every change at once: shows the planner's policy without latency. Executes plans on a real ledger until no
/// change is left.
/// </summary>
internal sealed class PoolFixture(
    int maxInterfaces,
    int blocksPerInterface,
    PoolTargets targets,
    int? maxPods = null,
    bool usesPrimary = true,
    PodFamilies? families = null,
    int? ipv6PerInterface = null
)
{
    private readonly PodFamilies _families = families ?? PodFamilies.Ipv4;

    private static readonly IPNetwork Subnet = IPNetwork.Parse("10.0.0.0/16");
    private static readonly IPNetwork Subnet6 = IPNetwork.Parse("2001:db8:0:1::/64");
    private static readonly IPNetwork Prefixes = IPNetwork.Parse("10.1.0.0/16");
    private int _nextAddress = 10;
    private int _nextPrefix;
    private int _nextInterface = 1;
    private int _nextPod;
    private DateTimeOffset _lastRelease = DateTimeOffset.UnixEpoch;

    public IpLedger Ledger { get; } = new(TimeSpan.FromSeconds(30), families ?? PodFamilies.Ipv4, targets.UsesPrefixes);
    public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch.AddDays(1);
    public int Waiting { get; set; }
    public GrowthObstacles Obstacles { get; set; } = GrowthObstacles.None;
    public IReadOnlyList<SubnetCandidate> Subnets { get; set; } = [new SubnetCandidate("subnet-1", 4000)];
    public bool IsUnschedulable { get; set; }
    public DateTimeOffset? TargetsChangedAt { get; set; }
    public GrowthObstacle? NoPlace { get; set; }
    public PoolPlan LastPlan { get; private set; } = null!;
    public LedgerView View => Ledger.View(Now);

    public PoolFixture WithPrimary(bool isExcluded = false)
    {
        Ledger.Observe([Interface(deviceIndex: 0, "subnet-1", []) with { IsExcluded = isExcluded }], Now);
        return this;
    }

    /// <summary>Starts a new daemon on the same node: attachments from the checkpoint, interfaces from an observation.</summary>
    public void Adopt(IpLedger before)
    {
        Ledger.Restore(before.Record().Record, new ClockReading(Now, TimeSpan.Zero));
        Ledger.Observe(
            [
                .. before
                    .View(Now)
                    .Interfaces.Select(item => new InterfaceObservation
                    {
                        Id = item.Id,
                        Slot = item.Slot,
                        PrimaryAddress = item.PrimaryAddress,
                        SubnetId = item.SubnetId,
                        Blocks = [.. item.Blocks.Select(block => block.Range)],
                    }),
            ],
            Now
        );
        (_nextAddress, _nextPrefix, _nextInterface) = (1000, 100, 100);
    }

    public PoolPlan Plan() =>
        LastPlan = PoolPlanner.Plan(
            new PoolSnapshot
            {
                Ledger = View,
                Waiting = [.. Enumerable.Range(0, Waiting).Select(number => new PendingAdd(number, Now + TimeSpan.FromSeconds(20)))],
                Subnets = Subnets,
                Capacity = PoolCapacity.Of(
                    Ec2Limits.Of(maxInterfaces, blocksPerInterface + 1, ipv6PerInterface ?? blocksPerInterface + 1, hasPrefixes: true),
                    targets with
                    {
                        MaxPods = maxPods,
                    },
                    _families,
                    usesPrimary
                ),
                Obstacles = Obstacles,
                IsUnschedulable = IsUnschedulable,
                PlacementObstacle = NoPlace,
                ReleaseObstacle = NoPlace?.Detail,
                TargetsChangedAt = TargetsChangedAt,
                MayReleaseAt = _lastRelease + PoolLimits.ReleaseInterval,
            },
            targets,
            Now
        );

    /// <summary>Plans and executes until a plan has no change. After an ADD, first advances to the end of the burst.</summary>
    /// <param name="inspect">Called with every plan before it is executed.</param>
    public int Settle(Action<PoolPlan>? inspect = null)
    {
        if (View.RecentAssignments is [.., var last] && last + PoolLimits.RefillPause is var pausedAt && pausedAt > Now)
            Now = pausedAt;
        for (var changes = 0; ; )
        {
            var plan = Plan();
            inspect?.Invoke(plan);
            if (plan.Changes.Count == 0)
                return changes;
            foreach (var change in plan.Changes)
                Act(change);
            changes += plan.Changes.Count;
            if (changes > 1000)
                throw new InvalidOperationException("the planner does not settle");
        }
    }

    /// <summary>Adds pods until the plan adds an interface.</summary>
    public PoolChange.AddInterface FirstAddition()
    {
        for (var pods = 0; pods < 1000; pods++)
        {
            var plan = Plan();
            if (plan.Changes.OfType<PoolChange.AddInterface>().FirstOrDefault() is { } add)
                return add;
            foreach (var change in plan.Changes)
                Act(change);
            if (View.Free > 0)
                AddPod();
            Now += TimeSpan.FromSeconds(2);
        }

        throw new InvalidOperationException("the plan adds no interface");
    }

    /// <summary>Observes interfaces with these blocks, the primary one first; they are eni-1, eni-2 and so on.</summary>
    public void Observe(params string[][] interfaces) =>
        Ledger.Observe(
            [
                .. interfaces.Select(
                    (blocks, index) =>
                        Interface(index, "subnet-1", [.. blocks.Select(block => IPNetwork.Parse(block))]) with
                        {
                            Id = new NetworkInterfaceId($"eni-{index + 1}"),
                        }
                ),
            ],
            Now
        );

    public Attachment AddPod()
    {
        var outcome = Ledger.Assign(
            new AttachmentKey("aws-cni", $"c{_nextPod}", "eth0"),
            new PodReference("default", $"p{_nextPod++}"),
            "",
            Now
        );
        return outcome is AssignOutcome.Assigned held ? held.Attachment : throw new InvalidOperationException("the pool is empty");
    }

    private void Act(PoolChange change)
    {
        var intent = Ledger.Begin(change, "token", Now) ?? throw new InvalidOperationException($"the ledger refuses: {change.Description}");
        _ = change.Match(
            assign => Do(() => Ledger.CompleteAssign(intent, Blocks(assign.Blocks), Now)),
            add =>
                Do(() =>
                    Ledger.CompleteAdd(intent, Interface(add.Slot.DeviceIndex, add.SubnetId, [.. add.Blocks.SelectMany(Blocks)]), Now)
                ),
            release => Do(() => Ledger.CompleteRelease(intent, Now)),
            remove => Do(() => Ledger.CompleteRemove(intent, Now))
        );
        if (!change.IsGrowth)
            _lastRelease = Now;
        static bool Do(Action complete)
        {
            complete();
            return true;
        }
    }

    private InterfaceObservation Interface(int deviceIndex, string subnet, IReadOnlyList<IPNetwork> blocks) =>
        new()
        {
            Id = new NetworkInterfaceId($"eni-{_nextInterface++}"),
            Slot = new Slot(0, deviceIndex),
            PrimaryAddress = IpRanges.AddressAt(Subnet, _nextAddress++),
            SubnetId = subnet,
            Blocks = blocks,
        };

    private IPNetwork[] Blocks(BlockRequest request) =>
        [
            .. Enumerable
                .Range(0, request.Count)
                .Select(_ =>
                    request.Shape.IsSingle
                        ? IpRanges.Single(IpRanges.AddressAt(request.Shape.Family == IpFamily.V4 ? Subnet : Subnet6, _nextAddress++))
                        : NextPrefix(request.Shape)
                ),
        ];

    private IPNetwork NextPrefix(BlockShape shape) =>
        shape.Family == IpFamily.V4
            ? new IPNetwork(IpRanges.AddressAt(Prefixes, 16 * _nextPrefix++), 28)
            : IPNetwork.Parse($"2001:db8:0:1:{++_nextPrefix:x}::/80");
}
