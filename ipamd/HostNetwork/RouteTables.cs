// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Numbers of route tables and priorities of policy rules, as in the reference: the CNI plugins of both, and amazon-ec2-net-utils, agree on
/// them, so a node can be switched over with pods running.
/// </summary>
internal static class RouteTables
{
    /// <summary>rt_tables(5): the table that everything without a rule of its own uses.</summary>
    public const int Main = 254;

    /// <summary>The kernel's own: addresses of the host.</summary>
    public const int Local = 255;

    /// <summary>Rule "to pod address", table main: traffic to a pod of this node never leaves it.</summary>
    public const int ToPodPriority = 512;

    /// <summary>Rule "mark", table main: what came in by the primary interface, or is to leave with its address, leaves by it.</summary>
    public const int MarkPriority = 1024;

    /// <summary>Rules "to range", table main: ranges that pods reach through the primary interface (AWS_EXTERNAL_SERVICE_CIDRS).</summary>
    public const int ExternalServicePriority = 1535;

    /// <summary>Rule "from pod address", table of the pod's interface.</summary>
    public const int FromPodPriority = 1536;

    /// <summary>
    /// Rule "from primary address of a secondary interface", table of that interface. One before the kernel's rule for main.
    /// </summary>
    public const int FromInterfacePriority = 32765;

    /// <summary>
    /// The kernel's own rule "everything", table main (fib_rules.c). Nobody writes it, and `ip rule flush` takes it: then pods of the
    /// primary interface, and the node itself, reach nothing. It is put back when no rule leads everything to main.
    /// </summary>
    public const int MainPriority = 32766;

    /// <summary>
    /// Table of an interface: main for the primary one, else device + 1, or 10000 + device + 100 * card beyond the first network card.
    /// </summary>
    public static int For(int deviceIndex, int networkCard) =>
        (deviceIndex, networkCard) switch
        {
            (0, 0) => Main,
            (_, 0) => deviceIndex + 1,
            _ => 10_000 + deviceIndex + (100 * networkCard),
        };
}
