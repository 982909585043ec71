// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Datapath;

/// <summary>
/// Priorities of policy rules; the kernel applies the lowest first. They are those of the AWS VPC CNI, so that either plugin and either
/// daemon can run on a node whose pods the other one wired.
/// </summary>
public static class RulePriorities
{
    /// <summary>In a pod: traffic from the address of an interface after the first uses that interface's table.</summary>
    public const int PodInterface = 1;

    /// <summary>Traffic that arrives by the link of a branch pod, or by its VLAN, uses the table of that VLAN.</summary>
    public const int Branch = 10;

    /// <summary>Traffic to a pod's address uses main: traffic to a pod of this node never leaves the node.</summary>
    public const int ToPod = 512;

    /// <summary>Traffic with the connection mark uses main: it arrived by the primary interface and leaves by it.</summary>
    public const int Mark = 1024;

    /// <summary>Traffic to a range that pods reach through the primary interface (AWS_EXTERNAL_SERVICE_CIDRS) uses main.</summary>
    public const int ExternalService = 1535;

    /// <summary>Traffic from a pod's address uses the table of the network interface that has the address.</summary>
    public const int FromPod = 1536;

    /// <summary>
    /// Traffic from the primary address of a secondary interface uses that interface's table. One before <see cref="Main"/>.
    /// </summary>
    public const int FromInterface = 32765;

    /// <summary>
    /// The kernel's own rule that sends everything to main (fib_rules.c). <c>ip rule flush</c> removes it, and then neither the node nor
    /// pods of the primary interface reach anything.
    /// </summary>
    public const int Main = 32766;
}
