// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>
/// A model of the AWS VPC CNI's pool, version 1.23.1, with its default targets (WARM_ENI_TARGET=1) and secondary addresses: its formulas, its loop of 5 s with one growth action a pass, its random order of
/// interfaces and addresses, ADDs that fail when the pool is empty, cooling addresses that count as available. Written from its documented behaviour.
/// </summary>
internal sealed class ReferencePolicy
{
    private const int WarmEniTarget = 1;
    private static readonly TimeSpan Cooldown = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan HalfPass = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan MinimumEniAge = TimeSpan.FromMinutes(1);

    /// <summary>Between the end of a detachment's call and the first try to delete.</summary>
    private static readonly TimeSpan BeforeDelete = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstDeleteRetry = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstMetadataRetry = TimeSpan.FromMilliseconds(100);

    private readonly ComparedNode _node;
    private readonly Random _random = new(4);
    private readonly List<Eni> _enis = [];
    private readonly Dictionary<int, (Eni Eni, IPAddress Address)> _held = [];
    private readonly Dictionary<int, Task> _starting = [];
    private readonly List<TimeSpan> _waits = [];
    private int _refused;

    private ReferencePolicy(ComparedNode node)
    {
        _node = node;
        _enis.Add(new Eni(node.Instance.PrimaryInterface, IsPrimary: true, DateTimeOffset.MinValue));
    }

    private int PerEni => _node.Instance.Type.Ipv4PerInterface - 1;

    private int Total => _enis.Sum(eni => eni.Addresses.Count);

    private int Available => Total - _held.Count;

    public static ComparedResult Run(string type, IReadOnlyList<PodEvent> trace)
    {
        var node = new ComparedNode(type);
        var reference = new ReferencePolicy(node);
        node.Time.Outside.Post(() => _ = reference.LoopAsync());
        node.Time.Advance(TimeSpan.FromMinutes(2));
        var before = node.Calls();
        foreach (var item in trace)
        {
            node.Time.After(item.At, () => reference._starting[item.Pod] = item.Starts ? reference.StartAsync(item.Pod) : reference.StopAsync(item.Pod, reference._starting[item.Pod]));
        }

        node.Time.Advance(trace[^1].At + TimeSpan.FromMinutes(10));
        return ComparedNode.Result(before, node.Calls(), reference._refused, reference._waits);
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

    /// <summary>Interfaces and addresses in random order, as a Go map gives them.</summary>
    private bool TryAssign(int pod)
    {
        var now = _node.Time.GetUtcNow();
        foreach (var eni in Shuffled(_enis))
        {
            foreach (var (address, usage) in Shuffled(eni.Addresses))
            {
                if (usage.IsUsed || now - usage.FreedAt <= Cooldown) continue;
                eni.Addresses[address] = usage with { IsUsed = true };
                _held[pod] = (eni, address);
                return true;
            }
        }

        return false;
    }

    private async Task StopAsync(int pod, Task started)
    {
        await started;
        var (eni, address) = _held[pod];
        _held.Remove(pod);
        eni.Addresses[address] = new Usage(IsUsed: false, _node.Time.GetUtcNow());
    }

    private async Task LoopAsync()
    {
        while (true)
        {
            await Task.Delay(HalfPass, _node.Time);
            if (Available < PerEni * WarmEniTarget && Total < _node.Instance.Type.MaxPodsWithSecondaryAddresses) await GrowAsync();
            else if (Available >= (WarmEniTarget + 1) * PerEni) await RemoveOneAsync();
            await Task.Delay(HalfPass, _node.Time);
        }
    }

    /// <summary>The first interface with room is filled; only when there is none, one is added.</summary>
    private async Task GrowAsync()
    {
        if (Shuffled(_enis).FirstOrDefault(eni => eni.Addresses.Count < PerEni) is { } withRoom)
        {
            var change = await CallAsync(() => _node.World.AssignPrivateIpAddresses(withRoom.Id, AddressRequest.Any(PerEni - withRoom.Addresses.Count)));
            foreach (var address in change.Addresses) withRoom.Addresses[address] = Usage.Fresh;
            return;
        }

        if (_enis.Count >= _node.Instance.Type.NetworkCards[0].MaxInterfaces) return;
        var created = await CallAsync(() => _node.World.CreateNetworkInterface(new CreateInterfaceRequest { Subnet = _node.Subnet, Groups = [_node.Group], Ipv4 = AddressRequest.Any(PerEni), Description = "reference" }));
        await CallAsync(() => _node.World.DescribeInstances(new Query { Ids = [_node.Instance.Id.Value] }));
        var used = _node.World.InterfacesOf(_node.Instance.Id).Select(eni => eni.Attachment!.DeviceIndex).ToHashSet();
        var attachment = await CallAsync(() => _node.World.AttachNetworkInterface(new AttachInterfaceRequest(created.Id, _node.Instance.Id, Enumerable.Range(1, 99).First(index => !used.Contains(index)))));
        await CallAsync(() => _node.World.ModifyNetworkInterfaceAttribute(new ModifyInterfaceRequest { Interface = created.Id, DeleteOnTermination = (attachment.Id, true) }));
        for (var pause = FirstMetadataRetry; _node.World.FindInterface(created.Id)!.Attachment!.Status != AttachmentStatus.Attached; pause *= 2) await Task.Delay(pause, _node.Time);
        var eni = new Eni(created.Id, IsPrimary: false, _node.Time.GetUtcNow());
        foreach (var address in created.SecondaryAddresses) eni.Addresses[address] = Usage.Fresh;
        _enis.Add(eni);
    }

    private async Task RemoveOneAsync()
    {
        var now = _node.Time.GetUtcNow();
        var deletable = Shuffled(_enis).FirstOrDefault(eni => !eni.IsPrimary && now - eni.CreatedAt >= MinimumEniAge && eni.Addresses.Values.All(usage => !usage.IsUsed && now - usage.FreedAt > Cooldown));
        if (deletable is null) return;
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
        await Task.Delay(ComparedNode.CallTime / 2, _node.Time);
        var result = call();
        await Task.Delay(ComparedNode.CallTime / 2, _node.Time);
        return result;
    }

    private T[] Shuffled<T>(IEnumerable<T> items)
    {
        T[] shuffled = [.. items];
        _random.Shuffle(shuffled);
        return shuffled;
    }

    private sealed record Eni(EniId Id, bool IsPrimary, DateTimeOffset CreatedAt)
    {
        public Dictionary<IPAddress, Usage> Addresses { get; } = [];
    }

    private readonly record struct Usage(bool IsUsed, DateTimeOffset FreedAt)
    {
        public static Usage Fresh => new(IsUsed: false, DateTimeOffset.MinValue);
    }
}
