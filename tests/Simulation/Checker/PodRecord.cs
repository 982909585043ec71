// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>One sandbox of one pod, as the checker tracks it from its first address until its DEL.</summary>
internal sealed class PodRecord(string network, string container, string podNamespace, string podName, DateTimeOffset createdAt)
{
    /// <summary>Creation time, before its first ADD.</summary>
    public DateTimeOffset CreatedAt { get; } = createdAt;

    public string Network { get; } = network;
    public string Container { get; } = container;
    public string PodNamespace { get; } = podNamespace;
    public string PodName { get; } = podName;
    public string Netns { get; } = $"/var/run/netns/{container}";

    /// <summary>Addresses in use, at most one of each family; none before the first ADD was answered and after the DEL was sent.</summary>
    public IReadOnlyList<IPAddress> Addresses { get; set; } = [];

    /// <summary>Last addresses that it received, in use or not.</summary>
    public IReadOnlyList<IPAddress> LastAddresses { get; set; } = [];

    public bool IsAssigned => Addresses.Count > 0;

    public DateTimeOffset ReportedAt { get; set; }

    /// <summary>Index of its link on the host; null before the plugin has wired it and from its teardown on.</summary>
    public int? WiredLink { get; set; }

    /// <summary>Those of its addresses that someone else removed from the node.</summary>
    public HashSet<IPAddress> Lost { get; } = [];

    public bool HasLostAddress => Lost.Count > 0;

    /// <summary>Whether the runtime has begun to delete it; it does not return under this key.</summary>
    public bool Ended { get; set; }

    public override string ToString() => $"{PodNamespace}/{PodName} ({Container})";
}
