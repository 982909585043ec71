// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Bench;

/// <summary>
/// The node of all contenders and the namespaces of its pods. Created before the first measurement and removed after the last, because the
/// kernel takes the same lock for namespaces as for links.
/// </summary>
internal sealed class Arena : IDisposable
{
    private const int Loopback = 1;
    private static readonly TimeSpan SettleDeadline = TimeSpan.FromSeconds(20);
    private readonly Stack<Sandbox> _free = new();
    private readonly List<string> _names = [];
    private readonly RouteNetlink _host;
    private readonly int _links;

    public Arena(LabNode node, int sandboxes)
    {
        Node = node;
        _host = node.Network.OpenRouteNetlink();
        for (var number = sandboxes - 1; number >= 0; number--)
        {
            var name = $"vpclab-bench-{Environment.ProcessId}-{number}";
            NetworkNamespace.CreateNamed(name).Dispose();
            _names.Add(name);
            _free.Push(new Sandbox(number, $"/run/netns/{name}"));
        }

        _links = CountLinks();
    }

    public LabNode Node { get; }

    /// <summary>Takes a free namespace. A namespace is reused after its link is gone.</summary>
    public Sandbox Take() => _free.Pop();

    public void Return(Sandbox sandbox) => _free.Push(sandbox);

    /// <summary>
    /// Waits until the node has at most <paramref name="pods"/> pod links and the kernel has finished deleting the others.
    /// </summary>
    public void Settle(int pods)
    {
        var started = Stopwatch.GetTimestamp();
        while (CountLinks() > _links + pods)
        {
            if (Stopwatch.GetElapsedTime(started) > SettleDeadline)
                throw new TimeoutException($"links of deleted pods still exist {SettleDeadline.TotalSeconds} s after their DEL");
            Thread.Sleep(1);
        }

        // A link disappears from the list before its deletion ends. This request takes the lock that the deletion holds.
        _host.Execute(LinkRequests.SetGroup(Loopback, group: 0));
    }

    public void Dispose()
    {
        _host.Dispose();
        foreach (var name in _names)
            NetworkNamespace.DeleteNamed(name);
    }

    private int CountLinks() => _host.GetLinks().Count;
}
