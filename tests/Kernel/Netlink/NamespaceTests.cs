// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>Network namespaces of a real kernel, beside those of <c>ip netns</c>.</summary>
public sealed class NamespaceTests : IDisposable
{
    private readonly string _name = $"vpccni-test-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}";
    private static int _count;

    public NamespaceTests() => Iproute.Need();

    public void Dispose()
    {
        if (Requirement.IsRoot)
            NetworkNamespace.DeleteNamed(_name);
    }

    [Fact]
    public void Named_namespace_is_listed_by_ip_netns_until_deleted()
    {
        using (var ns = NetworkNamespace.CreateNamed(_name))
        {
            Assert.Equal($"/run/netns/{_name}", ns.Path);
            Assert.True(NetworkNamespace.IsNamespacePath(ns.Path!));
            Assert.Contains(_name, Names());
            using var again = NetworkNamespace.Open(ns.Path!);
            Assert.Equal(ns.Identity, again.Identity);
            using var here = NetworkNamespace.OpenCurrent();
            Assert.NotEqual(here.Identity, ns.Identity);
        }

        NetworkNamespace.DeleteNamed(_name);
        Assert.DoesNotContain(_name, Names());
        Assert.False(NetworkNamespace.IsNamespacePath($"/run/netns/{_name}"));
        NetworkNamespace.DeleteNamed(_name);
    }

    [Fact]
    public void Namespaces_are_interchangeable_with_those_of_ip_netns()
    {
        using var here = NetworkNamespace.OpenCurrent();
        NetworkNamespace.CreateNamed(_name).Dispose();
        here.Ip($"netns delete {_name}");
        Assert.DoesNotContain(_name, Names());

        here.Ip($"netns add {_name}");
        using (var ns = NetworkNamespace.Open($"/run/netns/{_name}"))
            Assert.Equal(["lo"], ns.IpJson("link show").Select(link => link!.Text("ifname")));
        NetworkNamespace.DeleteNamed(_name);
        Assert.DoesNotContain(_name, Names());
    }

    [Fact]
    public void Directory_of_names_is_a_shared_mount_point()
    {
        NetworkNamespace.CreateNamed(_name).Dispose();
        // proc(5), mountinfo: the mount point is the fifth column; optional fields precede the dash.
        var mounts = File.ReadLines("/proc/self/mountinfo")
            .Select(line => line.Split(' '))
            .Where(fields => fields[4] == "/run/netns")
            .ToArray();
        Assert.NotEmpty(mounts);
        Assert.Contains("shared:", string.Join(' ', mounts[^1]), StringComparison.Ordinal);
    }

    [Fact]
    public void Existing_name_is_rejected_and_unchanged()
    {
        using var first = NetworkNamespace.CreateNamed(_name);
        var failure = Assert.Throws<NetworkNamespaceException>(() => NetworkNamespace.CreateNamed(_name));
        Assert.Equal((Errno.EEXIST, first.Path), (failure.Errno, failure.Path));
        using var still = NetworkNamespace.Open(first.Path!);
        Assert.Equal(first.Identity, still.Identity);
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("a/b")]
    public void Invalid_name_is_rejected(string name)
    {
        Assert.Throws<ArgumentException>(() => NetworkNamespace.CreateNamed(name));
        Assert.Throws<ArgumentException>(() => NetworkNamespace.DeleteNamed(name));
    }

    [Theory]
    [InlineData("/run/netns/there-is-none", Errno.ENOENT)]
    [InlineData("/etc/hostname", Errno.EINVAL)]
    [InlineData("/proc/self/ns/uts", Errno.EINVAL)]
    [InlineData("/run", Errno.EINVAL)]
    public void Path_that_is_not_a_network_namespace_is_rejected_with_its_path(string path, Errno errno)
    {
        var failure = Assert.Throws<NetworkNamespaceException>(() => NetworkNamespace.Open(path));
        Assert.Equal((errno, path), (failure.Errno, failure.Path));
        Assert.Contains(path, failure.Message, StringComparison.Ordinal);
        Assert.False(NetworkNamespace.IsNamespacePath(path));
    }

    /// <summary>Anyone who may write to the folder can create a named pipe; opening it must not wait for a writer.</summary>
    [Fact]
    public async Task Named_pipe_is_rejected_without_waiting()
    {
        var folder = Directory.CreateTempSubdirectory("vpccni-fifo-");
        try
        {
            var path = Path.Combine(folder.FullName, "pipe");
            using (var made = Process.Start("mkfifo", [path]))
                await made.WaitForExitAsync(TestContext.Current.CancellationToken);
            var opening = Task.Run(() => NetworkNamespace.Open(path), TestContext.Current.CancellationToken);
            var failure = await Assert.ThrowsAsync<NetworkNamespaceException>(() => opening.WaitAsync(Eventually.DefaultDeadline));
            Assert.Equal(Errno.EINVAL, failure.Errno);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Run_executes_on_a_thread_of_its_own_and_does_not_move_the_caller()
    {
        using var here = NetworkNamespace.OpenCurrent();
        using var ns = NetworkNamespace.CreateAnonymous();
        var (inside, thread, isPool) = ns.Run(() =>
        {
            using var current = NetworkNamespace.OpenCurrent();
            return (current.Identity, Environment.CurrentManagedThreadId, Thread.CurrentThread.IsThreadPoolThread);
        });
        Assert.Equal(ns.Identity, inside);
        Assert.NotEqual(Environment.CurrentManagedThreadId, thread);
        Assert.False(isPool);
        using var after = NetworkNamespace.OpenCurrent();
        Assert.Equal(here.Identity, after.Identity);
    }

    [Fact]
    public async Task Pool_threads_never_leave_the_namespace_of_the_process()
    {
        using var here = NetworkNamespace.OpenCurrent();
        var runs = Enumerable
            .Range(0, 64)
            .Select(_ =>
                Task.Run(() =>
                {
                    using var ns = NetworkNamespace.CreateAnonymous();
                    ns.Run(() => { });
                    using var netlink = ns.OpenRouteNetlink();
                    using var current = NetworkNamespace.OpenCurrent();
                    return current.Identity;
                })
            );
        Assert.All(await Task.WhenAll(runs), identity => Assert.Equal(here.Identity, identity));
    }

    [Fact]
    public void Exception_of_a_body_is_rethrown_unchanged()
    {
        using var ns = NetworkNamespace.CreateAnonymous();
        var failure = Assert.Throws<InvalidDataException>(() => ns.Run(Throw));
        Assert.Equal("from the body", failure.Message);
        Assert.Contains(nameof(Throw), failure.StackTrace, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Socket_stays_in_its_namespace()
    {
        using var ns = NetworkNamespace.CreateAnonymous();
        using var netlink = ns.OpenRouteNetlink();
        netlink.Execute(LinkRequests.SetUp("lo", true));
        using var listener = ns.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        using var client = ns.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint!);
        using var stranger = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await Assert.ThrowsAsync<SocketException>(async () => await stranger.ConnectAsync(listener.LocalEndPoint!));
    }

    [Fact]
    public void Anonymous_namespace_exists_until_its_last_socket_is_disposed()
    {
        using var node = NetworkNamespace.CreateAnonymous();
        using var outside = node.OpenRouteNetlink();
        var ns = NetworkNamespace.CreateAnonymous();
        outside.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "v0",
                    PeerName = "eth0",
                    PeerNamespace = ns,
                }
            )
        );
        var inside = ns.OpenRouteNetlink();
        ns.Dispose();
        Assert.NotNull(inside.FindLink("eth0"));
        inside.Dispose();
        // The kernel destroys namespaces in the background.
        Assert.True(SpinWait.SpinUntil(() => outside.FindLink("v0") is null, TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public void Request_with_a_disposed_namespace_throws()
    {
        using var node = NetworkNamespace.CreateAnonymous();
        using var netlink = node.OpenRouteNetlink();
        var gone = NetworkNamespace.CreateAnonymous();
        var request = LinkRequests.CreateVeth(
            new VethSpec
            {
                Name = "v0",
                PeerName = "eth0",
                PeerNamespace = gone,
            }
        );
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => netlink.Execute(request));
        Assert.Null(netlink.FindLink("v0"));
        Assert.Throws<ObjectDisposedException>(() => gone.Run(() => { }));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Throw() => throw new InvalidDataException("from the body");

    private static IEnumerable<string?> Names()
    {
        using var here = NetworkNamespace.OpenCurrent();
        return here.IpJson("netns list").Select(entry => entry!.Text("name"));
    }
}
