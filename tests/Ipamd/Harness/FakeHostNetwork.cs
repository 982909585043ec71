// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.HostNetwork;

namespace VpcCni.Ipamd.Tests.Harness;

/// <summary>A kernel in memory: configured interfaces and routed pods.</summary>
internal sealed class FakeHostNetwork : IHostNetwork
{
    private readonly Dictionary<Slot, string> _macs = [];

    public HashSet<string> Wired { get; } = [];
    public HashSet<string> Broken { get; } = [];

    /// <summary>Interfaces whose rule the kernel rejects to remove.</summary>
    public HashSet<string> KeepsRule { get; } = [];
    public List<PodRoute> Pods { get; } = [];

    public Task EnsureInterfaceAsync(InterfaceWiring wiring, TimeSpan linkDeadline, CancellationToken cancellationToken)
    {
        if (Broken.Contains(wiring.Mac))
            throw new HostNetworkException($"no link with MAC {wiring.Mac}");
        Wired.Add(wiring.Mac);
        _macs[wiring.Slot] = wiring.Mac;
        return Task.CompletedTask;
    }

    public void RemoveInterface(Slot slot, IPAddress primaryAddress)
    {
        if (!_macs.TryGetValue(slot, out var mac))
            return;
        if (KeepsRule.Contains(mac))
            throw new HostNetworkException($"the rule of {mac} cannot be removed");
        Wired.Remove(mac);
    }

    public bool CannotBeAsked { get; set; }

    public IReadOnlyList<PodRoute> PodRoutes() => CannotBeAsked ? throw new HostNetworkException("the kernel does not answer") : [.. Pods];

    /// <summary>Addresses of the host's own links.</summary>
    public List<LinkAddress> Addresses { get; } = [];

    public IReadOnlyList<LinkAddress> HostAddresses() =>
        CannotBeAsked ? throw new HostNetworkException("the kernel does not answer") : [.. Addresses];

    public HashSet<string> Links { get; } = [];
    public HashSet<string> Namespaces { get; } = [];

    public IReadOnlyCollection<string> HostInterfaces() => [.. Links.Concat(Pods.Select(pod => pod.HostInterface))];

    /// <summary>Whether the runtime's folder is visible, so that a missing namespace is known to be gone.</summary>
    public bool SeesNamespaces { get; set; }

    public NamespacePresence NamespaceAt(string path) =>
        Namespaces.Contains(path) ? NamespacePresence.Present
        : SeesNamespaces && path.Length > 0 ? NamespacePresence.Gone
        : NamespacePresence.Unknown;

    private (Action<string?> Seen, Action<string> Lost)? _links;

    /// <summary>Reports a link to the pool; null for any.</summary>
    public void LinkSeen(string? mac) => _links!.Value.Seen(mac);

    /// <summary>Reports to the pool that a link is gone.</summary>
    public void LinkLost(string mac) => _links!.Value.Lost(mac);

    public void WatchLinks(Action<string?> seen, Action<string> lost)
    {
        if (_links is not null)
            throw new InvalidOperationException("the links are watched already");
        _links = (seen, lost);
    }

    public void Route(string hostInterface, IPAddress address) => Pods.Add(new PodRoute(hostInterface, address));
}

/// <summary>A checkpoint in memory that can fail to be written.</summary>
internal sealed class FakeCheckpointFile : VpcCni.Ipamd.Ledger.Checkpoint.ICheckpointFile
{
    public byte[]? Content { get; set; }
    public bool RefuseWrites { get; set; }
    public Action? BeforeWrite { get; set; }
    public List<byte[]> Aside { get; } = [];
    public int Writes { get; private set; }
    public string Name => "memory";

    public byte[]? Read() => Content;

    public void Write(ReadOnlySpan<byte> content)
    {
        BeforeWrite?.Invoke();
        if (RefuseWrites)
            throw new IOException("no space left on device");
        Content = content.ToArray();
        Writes++;
    }

    public string SetAside(DateTimeOffset now)
    {
        Aside.Add(Content!);
        Content = null;
        return $"aside-{Aside.Count}";
    }
}
