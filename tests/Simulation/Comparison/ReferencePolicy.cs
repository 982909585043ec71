// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>
/// A model of the AWS VPC CNI's pool, version 1.23.1: its formulas for every target, its loop of 5 s with one growth action a pass, its
/// random order of interfaces and addresses, ADDs that fail when the pool is empty, cooling addresses that count as available. Written from
/// its documented behaviour; its state after each step of <c>reference-pool.tsv</c> equals the measured one.
/// </summary>
internal sealed class ReferencePolicy
{
    private static readonly TimeSpan Cooldown = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan HalfPass = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan MinimumEniAge = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan DecreaseInterval = TimeSpan.FromSeconds(30);

    /// <summary>Time after which a pod of a step is given up.</summary>
    private static readonly TimeSpan PodDeadline = TimeSpan.FromMinutes(1);

    /// <summary>Time between the end of a detach call and the first attempt to delete.</summary>
    private static readonly TimeSpan BeforeDelete = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstDeleteRetry = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstMetadataRetry = TimeSpan.FromMilliseconds(100);

    private readonly ComparedNode _node;
    private readonly ReferenceTargets _targets;
    private readonly Random _random = new(4);
    private readonly List<Eni> _enis = [];
    private readonly Dictionary<int, (Eni Eni, IPAddress Address)> _assigned = [];
    private readonly Dictionary<int, Task> _starting = [];
    private readonly List<TimeSpan> _waits = [];
    private DateTimeOffset _decreasedAt = DateTimeOffset.MinValue;
    private int _refused;

    private ReferencePolicy(ComparedNode node, IReadOnlyDictionary<string, string> environment)
    {
        _node = node;
        _targets = ReferenceTargets.Of(environment, node.Instance.Type);
        _enis.Add(new Eni(node.Instance.PrimaryInterface, IsPrimary: true, DateTimeOffset.MinValue));
    }

    private int SlotsPerEni => _node.Instance.Type.Ipv4PerInterface - 1;

    private int Total => _enis.Sum(eni => eni.Addresses.Count);

    private int Prefixes => _enis.Sum(eni => eni.Prefixes.Count);

    private int FreePrefixes => _enis.Sum(eni => eni.Prefixes.Count(eni.IsFree));

    public static ComparedResult Run(string type, IReadOnlyList<PodEvent> trace)
    {
        var node = new ComparedNode(type);
        var reference = new ReferencePolicy(node, new Dictionary<string, string>());
        node.Time.Outside.Post(() => _ = reference.LoopAsync());
        node.Time.Advance(TimeSpan.FromMinutes(2));
        var before = node.Calls();
        foreach (var item in trace)
        {
            node.Time.After(
                item.At,
                () =>
                    reference._starting[item.Pod] = item.Starts
                        ? reference.StartAsync(item.Pod)
                        : reference.StopAsync(item.Pod, reference._starting[item.Pod])
            );
        }

        node.Time.Advance(trace[^1].At + TimeSpan.FromMinutes(10));
        return ComparedNode.Result(before, node.Calls(), reference._refused, reference._waits);
    }

    /// <summary>Runs the steps of a row as they were measured: a pod starts when the previous one has an address or is given up.</summary>
    public static RowResult Run(ReferenceRow row, TimeSpan callTime)
    {
        var node = new ComparedNode(row.InstanceType, callTime);
        var reference = new ReferencePolicy(node, row.Environment);
        node.Time.Outside.Post(() => _ = reference.LoopAsync());
        List<RowStep> steps = [];
        var pods = 0;
        var before = node.Calls();
        // The passes of an empty pool; its first step has no pods and waits as long again.
        node.Time.Advance(RowResult.Quiet);
        foreach (var step in row.Steps)
        {
            Task? adding = null;
            var first = pods;
            pods = step.Pods;
            node.Time.Outside.Post(() => adding = reference.StartInSequenceAsync(first, step.Pods));
            node.Time.RunUntil(() => adding is { IsCompleted: true }, node.Time.GetUtcNow() + (PodDeadline * (step.Pods + 1)));
            node.Time.Advance(RowResult.Quiet);
            steps.Add(node.StepOf(step.Pods, before, allServed: reference._assigned.Count == step.Pods));
            before = node.Calls();
        }

        return new RowResult(row, steps, [.. reference._waits.Order()]);
    }

    private async Task StartInSequenceAsync(int first, int end)
    {
        for (var pod = first; pod < end; pod++)
        {
            var until = _node.Time.GetUtcNow() + PodDeadline;
            while (!TryAssign(pod) && _node.Time.GetUtcNow() < until)
                await Task.Delay(Kubelet.Retry, _node.Time);
            // The rest of the step would find no address either.
            if (!_assigned.ContainsKey(pod))
                return;
            await Task.Delay(RowResult.BetweenPods, _node.Time);
        }
    }

    private async Task StartAsync(int pod)
    {
        var began = _node.Time.GetUtcNow();
        while (!TryAssign(pod))
        {
            _refused++;
            await Task.Delay(Kubelet.Retry, _node.Time);
        }

        _waits.Add(_node.Time.GetUtcNow() - began);
    }

    /// <summary>Interfaces and addresses in random order, as a Go map iterates.</summary>
    private bool TryAssign(int pod)
    {
        var now = _node.Time.GetUtcNow();
        foreach (var eni in Shuffled(_enis))
        {
            foreach (var (address, usage) in Shuffled(eni.Addresses))
            {
                if (usage.IsUsed || now - usage.FreedAt <= Cooldown)
                    continue;
                eni.Addresses[address] = usage with { IsUsed = true };
                _assigned[pod] = (eni, address);
                return true;
            }
        }

        return false;
    }

    private async Task StopAsync(int pod, Task started)
    {
        await started;
        var (eni, address) = _assigned[pod];
        _assigned.Remove(pod);
        eni.Addresses[address] = new Usage(IsUsed: false, _node.Time.GetUtcNow());
    }

    private async Task LoopAsync()
    {
        while (true)
        {
            await Task.Delay(HalfPass, _node.Time);
            if (_targets.IsLow(Total, _assigned.Count, SlotsPerEni))
                await GrowAsync(_targets.ToAdd(Total, _assigned.Count, FreePrefixes, SlotsPerEni));
            else
                await ShrinkAsync(_targets.ToRemove(Total, _assigned.Count, Prefixes, FreePrefixes));
            await Task.Delay(HalfPass, _node.Time);
        }
    }

    private async Task ShrinkAsync(int blocks)
    {
        if (blocks > 0 && _node.Time.GetUtcNow() - _decreasedAt >= DecreaseInterval)
            await ReleaseAsync(blocks);
        if (_targets.MayRemoveEni(Total - _assigned.Count, SlotsPerEni))
            await RemoveOneAsync();
    }

    /// <summary>Releases unassigned blocks of interfaces in random order, cooling ones included.</summary>
    private async Task ReleaseAsync(int blocks)
    {
        _decreasedAt = _node.Time.GetUtcNow();
        foreach (var eni in Shuffled(_enis))
        {
            if (blocks <= 0)
                return;
            IPAddress[] addresses = _targets.UsesPrefixes
                ? []
                : [.. Shuffled(eni.Addresses).Where(pair => !pair.Value.IsUsed).Select(pair => pair.Key).Take(blocks)];
            IPNetwork[] prefixes = [.. Shuffled(eni.Prefixes).Where(eni.IsFree).Take(blocks)];
            if (addresses.Length + prefixes.Length == 0)
                continue;
            foreach (var address in addresses)
                eni.Addresses.Remove(address);
            foreach (var prefix in prefixes)
                eni.Remove(prefix);
            blocks -= addresses.Length + prefixes.Length;
            await CallAsync(() => _node.World.UnassignPrivateIpAddresses(eni.Id, addresses, prefixes));
        }
    }

    /// <summary>Fills the first interface with free slots; adds one only when there is none.</summary>
    private async Task GrowAsync(int wanted)
    {
        if (Shuffled(_enis).FirstOrDefault(eni => Slots(eni) < SlotsPerEni) is { } growing)
        {
            var change = await CallAsync(() =>
                _node.World.AssignPrivateIpAddresses(growing.Id, Request(Math.Min(wanted, SlotsPerEni - Slots(growing))))
            );
            growing.Add(change.Addresses, change.Prefixes);
            return;
        }

        if (_enis.Count >= _targets.MaxEnis)
            return;
        var created = await CallAsync(() =>
            _node.World.CreateNetworkInterface(
                new CreateInterfaceRequest
                {
                    Subnet = _node.Subnet,
                    Groups = [_node.Group],
                    Ipv4 = Request(Math.Min(wanted, SlotsPerEni)),
                    Description = "reference",
                }
            )
        );
        await CallAsync(() => _node.World.DescribeInstances(new Query { Ids = [_node.Instance.Id.Value] }));
        var used = _node.World.InterfacesOf(_node.Instance.Id).Select(eni => eni.Attachment!.DeviceIndex).ToHashSet();
        var attachment = await CallAsync(() =>
            _node.World.AttachNetworkInterface(
                new AttachInterfaceRequest(created.Id, _node.Instance.Id, Enumerable.Range(1, 99).First(index => !used.Contains(index)))
            )
        );
        await CallAsync(() =>
            _node.World.ModifyNetworkInterfaceAttribute(
                new ModifyInterfaceRequest { Interface = created.Id, DeleteOnTermination = (attachment.Id, true) }
            )
        );
        for (
            var pause = FirstMetadataRetry;
            _node.World.FindInterface(created.Id)!.Attachment!.Status != AttachmentStatus.Attached;
            pause *= 2
        )
            await Task.Delay(pause, _node.Time);
        var eni = new Eni(created.Id, IsPrimary: false, _node.Time.GetUtcNow());
        eni.Add(created.SecondaryAddresses, created.Ipv4Prefixes);
        _enis.Add(eni);
    }

    private async Task RemoveOneAsync()
    {
        var now = _node.Time.GetUtcNow();
        var deletable = Shuffled(_enis)
            .FirstOrDefault(eni =>
                !eni.IsPrimary
                && now - eni.CreatedAt >= MinimumEniAge
                && eni.Addresses.Values.All(usage => !usage.IsUsed && now - usage.FreedAt > Cooldown)
                && _targets.AreMetWithout(Total - eni.Addresses.Count, _assigned.Count, FreePrefixes - eni.Prefixes.Count)
            );
        if (deletable is null)
            return;
        _enis.Remove(deletable);
        await CallAsync(() => _node.World.DescribeNetworkInterfaces(new Query { Ids = [deletable.Id.Value] }));
        var attachment = _node.World.FindInterface(deletable.Id)!.Attachment!.Id;
        await CallAsync(() =>
        {
            _node.World.DetachNetworkInterface(attachment);
            return true;
        });
        await Task.Delay(BeforeDelete, _node.Time);
        for (var pause = FirstDeleteRetry; ; pause *= 2)
        {
            try
            {
                await CallAsync(() =>
                {
                    _node.World.DeleteNetworkInterface(deletable.Id);
                    return true;
                });
                return;
            }
            catch (Ec2FaultException)
            {
                await Task.Delay(pause, _node.Time);
            }
        }
    }

    private async Task<T> CallAsync<T>(Func<T> call)
    {
        await Task.Delay(_node.Latency / 2, _node.Time);
        var result = call();
        await Task.Delay(_node.Latency / 2, _node.Time);
        return result;
    }

    private int Slots(Eni eni) => _targets.UsesPrefixes ? eni.Prefixes.Count : eni.Addresses.Count;

    private AddressRequest Request(int blocks) => _targets.UsesPrefixes ? AddressRequest.AnyPrefixes(blocks) : AddressRequest.Any(blocks);

    private T[] Shuffled<T>(IEnumerable<T> items)
    {
        T[] shuffled = [.. items];
        _random.Shuffle(shuffled);
        return shuffled;
    }

    private sealed record Eni(EniId Id, bool IsPrimary, DateTimeOffset CreatedAt)
    {
        public Dictionary<IPAddress, Usage> Addresses { get; } = [];
        public List<IPNetwork> Prefixes { get; } = [];

        public bool IsFree(IPNetwork prefix) => Addresses.Where(pair => prefix.Contains(pair.Key)).All(pair => !pair.Value.IsUsed);

        public void Add(IEnumerable<IPAddress> addresses, IEnumerable<IPNetwork> prefixes)
        {
            foreach (var address in addresses)
                Addresses[address] = Usage.Fresh;
            foreach (var prefix in prefixes)
            {
                Prefixes.Add(prefix);
                var first = prefix.BaseAddress.GetAddressBytes();
                for (var offset = 0; offset < 16; offset++)
                    Addresses[new IPAddress([first[0], first[1], first[2], (byte)(first[3] + offset)])] = Usage.Fresh;
            }
        }

        public void Remove(IPNetwork prefix)
        {
            Prefixes.Remove(prefix);
            foreach (var address in Addresses.Keys.Where(prefix.Contains).ToArray())
                Addresses.Remove(address);
        }
    }

    private readonly record struct Usage(bool IsUsed, DateTimeOffset FreedAt)
    {
        public static Usage Fresh => new(IsUsed: false, DateTimeOffset.MinValue);
    }
}
