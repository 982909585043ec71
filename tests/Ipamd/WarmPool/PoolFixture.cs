// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.WarmPool;

namespace VpcCni.Ipamd.Tests.WarmPool;

/// <summary>
/// A node whose cloud does at once what the planner asks: the planner's policy without any latency. Carries plans out on a real ledger until nothing is left to do.
/// </summary>
internal sealed class PoolFixture(int maxInterfaces, int blocksPerInterface, PoolTargets targets, int? maxPods = null)
{
    private static readonly IPNetwork Subnet = IPNetwork.Parse("10.0.0.0/16");
    private int _nextAddress = 10;
    private int _nextInterface = 1;
    private int _nextPod;
    private DateTimeOffset _lastRelease = DateTimeOffset.UnixEpoch;

    public IpLedger Ledger { get; } = new(TimeSpan.FromSeconds(30));
    public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch.AddDays(1);
    public int Waiting { get; set; }
    public GrowthObstacle? Obstacle { get; set; }
    public PoolPlan LastPlan { get; private set; } = null!;
    public LedgerView View => Ledger.View(Now);

    public PoolFixture WithPrimary()
    {
        Ledger.Observe([Interface(deviceIndex: 0, blocks: 0)], Now);
        return this;
    }

    public PoolPlan Plan() => LastPlan = PoolPlanner.Plan(
        new PoolSnapshot
        {
            Ledger = View,
            Waiting = Waiting,
            Capacity = new PoolCapacity(maxInterfaces, blocksPerInterface, maxPods ?? PoolCapacity.DefaultMaxPods(maxInterfaces, blocksPerInterface + 1)),
            Obstacle = Obstacle,
            LastReleaseAt = _lastRelease,
        },
        targets,
        Now);

    /// <summary>Plans and acts until a plan has no action.</summary>
    public int Settle()
    {
        for (var actions = 0; ; )
        {
            var plan = Plan();
            if (plan.Actions.Count == 0) return actions;
            foreach (var action in plan.Actions) Act(action);
            actions += plan.Actions.Count;
            if (actions > 1000) throw new InvalidOperationException("the planner does not come to rest");
        }
    }

    public Attachment AddPod()
    {
        var outcome = Ledger.Assign(new AttachmentKey("aws-cni", $"c{_nextPod}", "eth0"), new PodReference("default", $"p{_nextPod++}"), "", [AddressFamily.InterNetwork], Now);
        return outcome is AssignOutcome.Held held ? held.Attachment : throw new InvalidOperationException("the pool is empty");
    }

    private void Act(PoolAction action)
    {
        switch (action)
        {
            case PoolAction.AssignBlocks assign:
                Ledger.AddBlocks(assign.Interface, Blocks(assign.Blocks.Count), Now);
                break;
            case PoolAction.AddInterface add:
                Ledger.AddInterface(Interface(add.DeviceIndex, add.Blocks.Count), Now);
                break;
            case PoolAction.ReleaseBlocks release:
                Ledger.EndReleaseBlocks(release.Interface, Ledger.BeginReleaseBlocks(release.Interface, release.Blocks, Now), released: true, Now);
                _lastRelease = Now;
                break;
            case PoolAction.RemoveInterface remove:
                Ledger.EndRemoveInterface(remove.Interface, removed: Ledger.BeginRemoveInterface(remove.Interface, Now));
                _lastRelease = Now;
                break;
        }
    }

    private InterfaceObservation Interface(int deviceIndex, int blocks) => new()
    {
        Id = new NetworkInterfaceId($"eni-{_nextInterface++}"),
        DeviceIndex = deviceIndex,
        PrimaryAddress = AddressBlocks.AddressAt(Subnet, _nextAddress++),
        SubnetId = "subnet-1",
        Blocks = Blocks(blocks),
    };

    private IPNetwork[] Blocks(int count) => [.. Enumerable.Range(0, count).Select(_ => AddressBlocks.Single(AddressBlocks.AddressAt(Subnet, _nextAddress++)))];
}
