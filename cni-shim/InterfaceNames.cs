// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Shim;

/// <summary>
/// Names of a pod's links, as the AWS VPC CNI builds them: the network policy agent and Calico find the host end by recomputing its name
/// from namespace and pod name. The price of that contract: a pod that is created again under its old name gets the old veth name, so a
/// name never proves which sandbox a veth belongs to.
/// </summary>
internal static class InterfaceNames
{
    /// <summary>Characters of the hash in a name: with a prefix of four it fills the kernel's fifteen.</summary>
    public const int HashLength = 11;

    /// <summary>
    /// The host end: prefix and hash. <paramref name="index"/> is the interface's position in the pod; 0 is the one that CNI_IFNAME names.
    /// </summary>
    public static string HostVeth(string prefix, Invocation invocation, int index) => prefix + Hash(invocation, index);

    /// <summary>
    /// An entry of the result for a link that never exists (it is 16 characters long): the plugin of aws-node looks it up in prevResult to
    /// learn, from its fields, the VLAN of the pod's branch ENI ("0": none) and the device number.
    /// </summary>
    public static string Marker(Invocation invocation) => "dummy" + Hash(invocation, 0);

    /// <summary>The interface in the pod: CNI_IFNAME, and mNicIf1, mNicIf2.. for further network cards.</summary>
    public static string Pod(string requested, int index) => index == 0 ? requested : $"mNicIf{index}";

    public static string Hash(Invocation invocation, int index)
    {
        var pod = invocation.Pod;
        // Outside Kubernetes there is no pod name; the hash of "." would be the same for every container of the node.
        var text =
            pod.Name.Length == 0 ? $"{invocation.ContainerId}.{invocation.InterfaceName}.{index}"
            : index == 0 ? $"{pod.Namespace}.{pod.Name}"
            : $"{pod.Name}.{index}";
        return Hash(text);
    }

    public static string Hash(string text)
    {
        return Convert.ToHexStringLower(Sha1.Hash(Encoding.UTF8.GetBytes(text)))[..HashLength];
    }
}
