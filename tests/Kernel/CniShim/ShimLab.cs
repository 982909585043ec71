// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using VpcCni.Netlink;
using VpcCni.Shim.Tests;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>A host namespace, pod namespaces and a fake daemon. Removes all of them on disposal.</summary>
internal sealed class ShimLab : IAsyncDisposable
{
    private static int counter;
    private readonly string _prefix;
    private readonly List<string> _names = [];
    private readonly List<NetworkNamespace> _open = [];

    private ShimLab(FakeIpamd ipamd)
    {
        Ipamd = ipamd;
        _prefix = $"shim-{Environment.ProcessId}-{Interlocked.Increment(ref counter)}";
        Host = CreateNamespace("host");
        HostNetlink = Host.OpenRouteNetlink();
        HostNetlink.Execute(LinkRequests.SetUp("lo", up: true));
        HostNetlink.Execute(AddressRequests.Add(linkIndex: 1, HostAddress, 32));
        HostNetlink.Execute(AddressRequests.Add(linkIndex: 1, HostAddress6, 128, new AddressOptions { NoDad = true }));
        Empty = Snapshot();
    }

    public static IPAddress HostAddress { get; } = IPAddress.Parse("10.250.255.1");
    public static IPAddress HostAddress6 { get; } = IPAddress.Parse("2001:db8:ffff::1");

    public FakeIpamd Ipamd { get; }
    public NetworkNamespace Host { get; }
    public RouteNetlink HostNetlink { get; }

    /// <summary>Snapshot of the host before any pod.</summary>
    public string Empty { get; }

    public static async Task<ShimLab> StartAsync(Action<FakeIpamdState>? configure = null)
    {
        Requirement.NeedRoot();
        return new ShimLab(await FakeIpamd.StartAsync(configure));
    }

    public NetworkNamespace CreateNamespace(string name)
    {
        var created = NetworkNamespace.CreateNamed($"{_prefix}-{name}");
        _names.Add($"{_prefix}-{name}");
        _open.Add(created);
        return created;
    }

    /// <summary>Removes the namespace as if its last process ended and the runtime removed the mount.</summary>
    public void Destroy(NetworkNamespace pod)
    {
        NetworkNamespace.DeleteNamed(Path.GetFileName(pod.Path!));
        pod.Dispose();
    }

    public PluginRun Plugin(
        string command,
        string netns,
        string container = "c1",
        string pod = "sample-pod",
        string version = "1.1.0",
        string more = ""
    ) =>
        new PluginRun(command, Conf(version, more))
            .Set("CNI_NETNS", netns)
            .Set("CNI_CONTAINERID", container)
            .Set(
                "CNI_ARGS",
                $"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod};K8S_POD_INFRA_CONTAINER_ID={container};K8S_POD_UID=u1"
            );

    public string Conf(string version = "1.1.0", string more = "") =>
        PluginRun.Conf(version, $"\"ipamdSocket\":\"{Ipamd.SocketPath}\",\"ipamdTimeoutSeconds\":20{(more.Length > 0 ? "," + more : "")}");

    /// <summary>Runs an ADD that must succeed and returns its result.</summary>
    public JsonElement Add(
        NetworkNamespace pod,
        string container = "c1",
        string name = "sample-pod",
        string version = "1.1.0",
        string more = ""
    )
    {
        var run = Plugin("ADD", pod.Path!, container, name, version, more).RunIn(Host);
        Assert.True(run.ExitCode == 0, run.Stdout + run.Stderr);
        return run.Answer;
    }

    /// <summary>Runs a DEL; prevResult is the cached result of the ADD.</summary>
    public PluginRun Del(
        string netns,
        string container = "c1",
        string name = "sample-pod",
        JsonElement? previous = null,
        string? socket = null
    )
    {
        var run = Plugin("DEL", netns, container, name, more: previous is { } result ? $"\"prevResult\":{result.GetRawText()}" : "");
        if (socket is not null)
            run.Config = run.Config.Replace(Ipamd.SocketPath, socket, StringComparison.Ordinal);
        return run.RunIn(Host);
    }

    public void AssertDeleted(PluginRun run)
    {
        Assert.Equal("", run.Stdout);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(Empty, Snapshot());
    }

    /// <summary>Returns the links, rules and routes of all tables as text.</summary>
    public string Snapshot()
    {
        var lines = new List<string>();
        lines.AddRange(HostNetlink.GetLinks().Select(link => $"link {link.Name} {link.Kind}"));
        foreach (var family in IpFamily.All)
        {
            lines.AddRange(
                HostNetlink
                    .GetRules(family)
                    .Select(rule => $"{family} rule {rule.Priority} from {rule.Source} to {rule.Destination} table {rule.Table}")
            );
            // Leaves out local and multicast routes, which the kernel adds with a delay and removes with their link.
            lines.AddRange(
                HostNetlink
                    .GetRoutes(family)
                    .Where(route => route.Protocol != RouteProtocol.Kernel)
                    .Select(route => $"{family} route {route.Destination} via {route.Gateway} dev {route.LinkIndex} table {route.Table}")
            );
        }
        return string.Join('\n', lines.Order(StringComparer.Ordinal));
    }

    /// <summary>Connects from one namespace to an address in another and exchanges a byte in each direction, without retries.</summary>
    public static async Task ConnectAsync(NetworkNamespace from, NetworkNamespace to, IPAddress address)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        using var listener = to.OpenSocket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(address, 0));
        listener.Listen();
        using var client = from.OpenSocket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        var accepting = listener.AcceptAsync(deadline.Token).AsTask();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndPoint!, deadline.Token);
        using var served = await accepting;
        var buffer = new byte[1];
        await client.SendAsync(new byte[] { 42 }, deadline.Token);
        Assert.Equal(1, await served.ReceiveAsync(buffer, deadline.Token));
        Assert.Equal(42, buffer[0]);
    }

    public async ValueTask DisposeAsync()
    {
        HostNetlink.Dispose();
        foreach (var name in _names)
            NetworkNamespace.DeleteNamed(name);
        foreach (var created in _open)
            created.Dispose();
        await Ipamd.DisposeAsync();
    }
}
