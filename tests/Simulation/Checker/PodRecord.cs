// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>
/// One sandbox of one pod as the checker knows it: from the moment its client was told an address until it asks to give it back.
/// </summary>
internal sealed class PodRecord(string network, string container, string podNamespace, string podName, DateTimeOffset madeAt)
{
    /// <summary>Before its first ADD.</summary>
    public DateTimeOffset MadeAt { get; } = madeAt;

    public string Network { get; } = network;
    public string Container { get; } = container;
    public string PodNamespace { get; } = podNamespace;
    public string PodName { get; } = podName;
    public string Netns { get; } = $"/var/run/netns/{container}";

    /// <summary>Told and in use; null before, and from the moment the DEL is sent.</summary>
    public IPAddress? Address { get; set; }

    /// <summary>The last address it was told, whether or not in use.</summary>
    public IPAddress? LastAddress { get; set; }

    public DateTimeOffset ToldAt { get; set; }

    /// <summary>Somebody else took its address from the node.</summary>
    public bool IsHurt { get; set; }

    /// <summary>The runtime asked to give its address back; it does not come back under this key.</summary>
    public bool Ended { get; set; }

    public override string ToString() => $"{PodNamespace}/{PodName} ({Container})";
}
