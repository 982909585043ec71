// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation;

/// <summary>
/// The kernel of the model's node: links that come and go with the attachments of the model of EC2, and what the plugin has put there for
/// pods. Outlives daemons.
/// </summary>
internal sealed class ModelKernel
{
    private readonly VpcWorld _world;
    private readonly InstanceId _instance;
    private readonly List<(string Mac, Action Appeared)> _waiting = [];

    public ModelKernel(VpcWorld world, InstanceId instance)
    {
        (_world, _instance) = (world, instance);
        world.Subscribe(OnEvent);
    }

    /// <summary>Routes to pods: address and the host's end of the pod's pair.</summary>
    public SortedDictionary<string, PodRoute> Routes { get; } = new(StringComparer.Ordinal);

    /// <summary>Hosts' ends of pods' pairs, whether routed or not.</summary>
    public SortedSet<string> Links { get; } = new(StringComparer.Ordinal);

    /// <summary>Paths of network namespaces that exist.</summary>
    public HashSet<string> Namespaces { get; } = new(StringComparer.Ordinal);

    /// <summary>Interfaces of the cloud that are wired for pods, by MAC.</summary>
    public Dictionary<string, InterfaceWiring> Wired { get; } = new(StringComparer.Ordinal);

    /// <summary>Struck before each use by a daemon: null for none.</summary>
    public Func<string, HostNetworkException?>? Fault { get; set; }

    public void Route(string hostInterface, IPAddress address) => Routes[address.ToString()] = new PodRoute(hostInterface, address);

    public void Unroute(IPAddress address) => Routes.Remove(address.ToString());

    public bool HasLink(string mac) =>
        _world
            .InterfacesOf(_instance)
            .Any(eni => string.Equals(eni.Mac, mac, StringComparison.Ordinal) && eni.Attachment!.Status != AttachmentStatus.Attaching);

    /// <summary>Told of each link that appears, with its MAC address.</summary>
    public List<Action<string>> Linked { get; } = [];

    /// <summary>Called with the MAC address of each link that goes.</summary>
    public List<Action<string>> Unlinked { get; } = [];

    /// <summary>Calls when the link appears; the result takes the wish back.</summary>
    public IDisposable WhenLinked(string mac, Action appeared)
    {
        var entry = (mac, appeared);
        _waiting.Add(entry);
        return new Wish(() => _waiting.Remove(entry));
    }

    private void OnEvent(VpcEvent happened)
    {
        switch (happened)
        {
            case VpcEvent.InterfaceAttached attached when attached.Instance == _instance:
                foreach (
                    var (_, appeared) in _waiting.Where(item => string.Equals(item.Mac, attached.Mac, StringComparison.Ordinal)).ToArray()
                )
                    appeared();
                foreach (var told in Linked.ToArray())
                    told(attached.Mac);
                break;
            case VpcEvent.InterfaceDetached detached when detached.Instance == _instance:
                // With the link go its addresses and its routes.
                if (_world.FindInterface(detached.Interface) is not { } eni)
                    break;
                Wired.Remove(eni.Mac);
                foreach (var told in Unlinked.ToArray())
                    told(eni.Mac);
                break;
        }
    }

    private sealed class Wish(Action takeBack) : IDisposable
    {
        public void Dispose() => takeBack();
    }
}

/// <summary>A daemon's hold on the model's kernel.</summary>
internal sealed class ModelHost : IHostNetwork
{
    private readonly ModelKernel _kernel;
    private readonly DaemonRun _incarnation;

    public ModelHost(ModelKernel kernel, DaemonRun incarnation)
    {
        (_kernel, _incarnation) = (kernel, incarnation);
        kernel.Linked.Add(OnLinked);
        kernel.Unlinked.Add(OnUnlinked);
    }

    public Action<string?> LinkSeen { get; set; } = _ => { };

    public Action<string> LinkLost { get; set; } = _ => { };

    public async Task EnsureInterfaceAsync(InterfaceWiring wiring, TimeSpan linkDeadline, CancellationToken cancellationToken)
    {
        Enter(nameof(EnsureInterfaceAsync));
        if (!_kernel.HasLink(wiring.Mac) && linkDeadline > TimeSpan.Zero)
            await WaitForLinkAsync(wiring.Mac, linkDeadline, cancellationToken);
        _incarnation.CheckAlive();
        if (!_kernel.HasLink(wiring.Mac))
            throw new HostNetworkException($"no link with MAC {wiring.Mac} after {linkDeadline.TotalSeconds:0.#} s");
        _kernel.Wired[wiring.Mac] = wiring;
    }

    public void RemoveInterface(int deviceIndex, int networkCard, IPAddress primaryAddress)
    {
        Enter(nameof(RemoveInterface));
        foreach (var (mac, wiring) in _kernel.Wired.ToArray())
        {
            if (wiring.PrimaryAddress.Equals(primaryAddress))
                _kernel.Wired.Remove(mac);
        }
    }

    public IReadOnlyList<PodRoute> PodRoutes()
    {
        Enter(nameof(PodRoutes));
        return [.. _kernel.Routes.Values];
    }

    public IReadOnlyList<LinkAddress> HostAddresses()
    {
        Enter(nameof(HostAddresses));
        return [];
    }

    public IReadOnlyCollection<string> HostInterfaces()
    {
        Enter(nameof(HostInterfaces));
        return [.. _kernel.Links];
    }

    public NamespacePresence NamespaceAt(string path)
    {
        Enter(nameof(NamespaceAt));
        return path.Length == 0 ? NamespacePresence.Unknown
            : _kernel.Namespaces.Contains(path) ? NamespacePresence.Present
            : NamespacePresence.Gone;
    }

    private void OnUnlinked(string mac)
    {
        if (_incarnation.IsAlive)
            _incarnation.Post(() => LinkLost(mac));
        else
            _kernel.Unlinked.Remove(OnUnlinked);
    }

    private void OnLinked(string mac)
    {
        if (_incarnation.IsAlive)
            _incarnation.Post(() => LinkSeen(mac));
        else
            _kernel.Linked.Remove(OnLinked);
    }

    private void Enter(string operation)
    {
        _incarnation.CheckAlive();
        if (_kernel.Fault?.Invoke(operation) is { } fault)
            throw fault;
        _incarnation.CheckAlive();
    }

    private async Task WaitForLinkAsync(string mac, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var appeared = new TaskCompletionSource();
        using var wish = _kernel.WhenLinked(mac, () => _incarnation.Post(() => appeared.TrySetResult()));
        using var timer = _incarnation.CreateTimer(_ => appeared.TrySetResult(), null, deadline, Timeout.InfiniteTimeSpan);
        using var registration = cancellationToken.Register(() => appeared.TrySetCanceled(cancellationToken));
        await appeared.Task;
    }
}
