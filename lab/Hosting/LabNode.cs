// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>A pod of the lab: a network namespace that the plugin has wired.</summary>
/// <param name="Addresses">The addresses of the plugin's result, in its order: one or more, at most one of each family.</param>
internal sealed record LabPod(
    CniAttachment Attachment,
    NetworkNamespace Network,
    IReadOnlyList<IPAddress> Addresses,
    JsonObject Result,
    TimeSpan AddElapsed
)
{
    /// <summary>The first address, which Kubernetes calls podIP.</summary>
    public IPAddress Address => Addresses[0];

    /// <summary>The pod's address of a family; null if it has none.</summary>
    public IPAddress? AddressOf(AddressFamily family) => Addresses.FirstOrDefault(address => address.AddressFamily == family);

    /// <summary><c>namespace/name</c>.</summary>
    public string Name => $"{Attachment.PodNamespace}/{Attachment.PodName}";
}

/// <summary>
/// A node: its namespace, its daemon and its pods. It adds and deletes pods in the order in which a container runtime does.
/// </summary>
internal sealed class LabNode : IAsyncDisposable
{
    private readonly FabricNames _names;
    private readonly string? _pluginPath;
    private readonly IReadOnlyList<AddressFamily> _nodeLocalFamilies;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, LabPod?> _pods = new(); // null while the pod is being added

    public LabNode(
        string name,
        LabMachine machine,
        IReadOnlyList<IPNetwork> podRanges,
        bool prefersIpv6,
        NetworkNamespace network,
        NodePaths paths,
        IpamdProcess? ipamd,
        FabricNames names,
        string? pluginPath,
        IReadOnlyList<AddressFamily> nodeLocalFamilies,
        TimeProvider time
    )
    {
        Name = name;
        Machine = machine;
        PodRanges = podRanges;
        InternalAddresses =
            machine.Ipv6Address is not { } ipv6 ? [machine.Address]
            : prefersIpv6 ? [ipv6, machine.Address]
            : [machine.Address, ipv6];
        Network = network;
        Paths = paths;
        Ipamd = ipamd;
        _names = names;
        _pluginPath = pluginPath;
        _nodeLocalFamilies = nodeLocalFamilies;
        _time = time;
    }

    public string Name { get; }

    /// <summary>The node's instance.</summary>
    public LabMachine Machine { get; }

    /// <summary>The instance in the model of EC2.</summary>
    /// <exception cref="LabException">The lab's cloud is not AWS.</exception>
    public Instance Instance => Machine.Ec2Instance ?? throw new LabException($"{Name} is no instance of EC2");

    /// <summary>The node's <c>spec.podCIDRs</c>; empty if the cluster assigns none.</summary>
    public IReadOnlyList<IPNetwork> PodRanges { get; }

    /// <summary>The primary interface's primary IPv4 address, which a node has with every family.</summary>
    public IPAddress Address => Machine.Address;

    /// <summary>The primary interface's first IPv6 address at its launch; null if the subnet has no IPv6.</summary>
    public IPAddress? Ipv6Address => Machine.Ipv6Address;

    /// <summary>The node's addresses as Kubernetes has them (InternalIP): that of the cluster's family first.</summary>
    public IReadOnlyList<IPAddress> InternalAddresses { get; }

    /// <summary>The node's address of a family; null if it has none.</summary>
    public IPAddress? AddressOf(AddressFamily family) => InternalAddresses.FirstOrDefault(address => address.AddressFamily == family);

    public NetworkNamespace Network { get; }

    public NodePaths Paths { get; }

    public IpamdProcess? Ipamd { get; }

    public IReadOnlyList<LabPod> Pods => [.. _pods.Values.OfType<LabPod>().OrderBy(pod => pod.Name, StringComparer.Ordinal)];

    public LabPod? FindPod(string name) => _pods.GetValueOrDefault(name);

    /// <summary>
    /// Creates the pod's namespace with loopback up, then runs the plugin's ADD. If ADD fails, runs DEL and removes the namespace.
    /// </summary>
    /// <exception cref="LabException">The node has a pod of this name, or the lab has no plugin.</exception>
    /// <exception cref="CniException">ADD failed.</exception>
    /// <exception cref="AggregateException">ADD failed, and so did the DEL after it.</exception>
    public async Task<LabPod> AddPodAsync(PodName name, CancellationToken cancellationToken)
    {
        if (!_pods.TryAdd(name.ToString(), value: null))
            throw new LabException($"pod {name} already exists on {Name}");
        var netnsName = _names.Pod(name.Namespace, name.Name);
        NetworkNamespace? network = null;
        try
        {
            network = NetworkNamespace.CreateNamed(netnsName);
            using (var netlink = network.OpenRouteNetlink())
                netlink.Execute(LinkRequests.SetUp("lo", true));
            var attachment = new CniAttachment(
                RandomNumberGenerator.GetHexString(64, lowercase: true),
                $"{FabricNamespaces.Folder}/{netnsName}",
                name.Namespace,
                name.Name
            );
            var plugin = Plugin();
            try
            {
                var (result, elapsed) = await plugin.AddAsync(attachment, cancellationToken);
                var pod = new LabPod(attachment, network, AddressesIn(result), result, elapsed);
                _pods[name.ToString()] = pod;
                return pod;
            }
            catch (Exception failure)
            {
                await UndoAsync(plugin, attachment, failure);
                throw;
            }
        }
        catch
        {
            network?.Dispose();
            NetworkNamespace.DeleteNamed(netnsName);
            _pods.TryRemove(name.ToString(), out _);
            throw;
        }
    }

    /// <summary>
    /// Kills the pod's processes, runs the plugin's DEL with the result of its ADD, and removes the namespace. Returns the duration of DEL.
    /// If DEL fails, the pod stays, so that the caller can retry.
    /// </summary>
    public async Task<TimeSpan> DeletePodAsync(PodName name, CancellationToken cancellationToken)
    {
        if (!_pods.TryGetValue(name.ToString(), out var pod) || pod is null)
            throw new LabException($"there is no pod {name} on {Name}");
        NamespaceProcesses.KillAll([pod.Network.Identity]);
        var elapsed = await Plugin().DeleteAsync(pod.Attachment, pod.Result, cancellationToken);
        if (_pods.TryRemove(name.ToString(), out _))
        {
            pod.Network.Dispose();
            NetworkNamespace.DeleteNamed(_names.Pod(name.Namespace, name.Name));
        }

        return elapsed;
    }

    public async ValueTask DisposeAsync()
    {
        if (Ipamd is not null)
            await Ipamd.DisposeAsync();
        foreach (var pod in Pods)
            pod.Network.Dispose();
        _pods.Clear();
    }

    private CniPlugin Plugin() =>
        _pluginPath is null
            ? throw new LabException("this lab was started without a CNI plugin (--plugin PATH), so it has no pods")
            : new CniPlugin(_pluginPath, HostNamespace.Link, Network, Paths, _nodeLocalFamilies, _time);

    /// <summary>Runs DEL after a failed ADD, as a container runtime does. If DEL fails too, throws both failures.</summary>
    private static async Task UndoAsync(CniPlugin plugin, CniAttachment attachment, Exception failure)
    {
        try
        {
            await plugin.DeleteAsync(attachment, previous: null, CancellationToken.None);
        }
        catch (Exception second)
        {
            throw new AggregateException("ADD failed, and so did the DEL that rolls it back", failure, second);
        }
    }

    private static List<IPAddress> AddressesIn(JsonObject result)
    {
        List<IPAddress> addresses = [];
        foreach (var ip in result["ips"] as JsonArray ?? [])
        {
            // An address with its prefix length, which the address's host bits may exceed.
            if ((string?)ip?["address"] is not { } text || !IPAddress.TryParse(text.Split('/')[0], out var address))
                throw new LabException($"the plugin's result has no address in ips[{addresses.Count}].address: {result.ToJsonString()}");
            addresses.Add(address);
        }

        return addresses.Count > 0 ? addresses : throw new LabException($"the plugin's result has no ips: {result.ToJsonString()}");
    }
}
