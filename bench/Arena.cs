// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Lab.Hosting;
using VpcCni.Netlink;

namespace VpcCni.Bench;

/// <summary>
/// The node that everything runs on, and the pods' namespaces: all made before the first measurement and removed after the last, because
/// the kernel's work on them takes the same lock as links do.
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

    /// <summary>Each namespace is used again once its link is gone.</summary>
    public Sandbox Take() => _free.Pop();

    public void Return(Sandbox sandbox) => _free.Push(sandbox);

    /// <summary>
    /// Waits until the node has no more than <paramref name="pods"/> links of pods and the kernel has finished with the others.
    /// </summary>
    public void Settle(int pods)
    {
        var started = Stopwatch.GetTimestamp();
        while (CountLinks() > _links + pods)
        {
            if (Stopwatch.GetElapsedTime(started) > SettleDeadline)
                throw new TimeoutException($"links of deleted pods are still there {SettleDeadline.TotalSeconds} s after their DEL");
            Thread.Sleep(1);
        }

        // A link is out of the list before the kernel is done with it. This takes the lock that it holds until then.
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
