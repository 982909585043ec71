// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Text;

namespace VpcCni.Datapath;

/// <summary>The pod and the interface that a link is named after.</summary>
/// <param name="Namespace">K8S_POD_NAMESPACE; empty outside Kubernetes.</param>
/// <param name="Name">K8S_POD_NAME; empty outside Kubernetes.</param>
/// <param name="ContainerId">CNI_CONTAINERID.</param>
/// <param name="InterfaceName">CNI_IFNAME.</param>
public readonly record struct PodLinkKey(string Namespace, string Name, string ContainerId, string InterfaceName);

/// <summary>
/// Names of a pod's links, built as the AWS VPC CNI builds them: the network policy agent and Calico compute the name of the host end from
/// namespace and pod name. A pod that is created again under its old name gets the old link name, so a name never proves which sandbox a
/// link belongs to.
/// </summary>
public static class PodLinkNames
{
    /// <summary>Characters of the hash in a name. A prefix of four characters and the hash fill the kernel's fifteen (IFNAMSIZ).</summary>
    public const int HashLength = 11;

    /// <summary>Links that the AWS VPC CNI's plugin egress-cni makes in a pod, for IPv4 and for IPv6 destinations.</summary>
    public static readonly IReadOnlyList<string> EgressCni = ["v4if0", "v6if0"];

    private static readonly SearchValues<char> HashCharacters = SearchValues.Create("0123456789abcdef");

    /// <summary>The end on the host.</summary>
    /// <param name="prefix">vethPrefix of the network configuration.</param>
    /// <param name="pod">The pod.</param>
    /// <param name="index">Position of the interface in the pod.</param>
    public static string Host(string prefix, PodLinkKey pod, int index) => prefix + Hash(pod, index);

    /// <summary>The end in the pod: CNI_IFNAME, and mNicIf1, mNicIf2 and so on for further network cards.</summary>
    public static string InPod(string requested, int index) => index == 0 ? requested : $"mNicIf{index}";

    /// <summary>
    /// The name of an entry of the CNI result that stands for no link (it has 16 characters). The plugin of aws-node finds it in prevResult
    /// and reads the VLAN of the pod's branch interface ("0": none) and the device number from its fields.
    /// </summary>
    public static string Marker(PodLinkKey pod) => "dummy" + Hash(pod, 0);

    /// <summary>What follows the prefix: hexadecimal digits of a SHA-1. A name, not a secret.</summary>
    public static string Hash(PodLinkKey pod, int index)
    {
        // Outside Kubernetes there is no pod name; the hash of "." would be the same for every container of the node.
        if (string.IsNullOrEmpty(pod.Name))
            return Hash($"{pod.ContainerId}.{pod.InterfaceName}.{index}");
        return Hash(index == 0 ? $"{pod.Namespace}.{pod.Name}" : $"{pod.Name}.{index}");
    }

    /// <summary>Whether a link's name is the prefix and a hash.</summary>
    public static bool IsHost(string linkName, string prefix) =>
        linkName.Length == prefix.Length + HashLength
        && linkName.StartsWith(prefix, StringComparison.Ordinal)
        && linkName.AsSpan(prefix.Length).IndexOfAnyExcept(HashCharacters) < 0;

    private static string Hash(string text) => Convert.ToHexStringLower(Sha1.Hash(Encoding.UTF8.GetBytes(text)))[..HashLength];
}
