// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>A kernel parameter that a node needs before pods run on it, and the outcome of setting it.</summary>
/// <param name="Name">As sysctl(8) writes it.</param>
/// <param name="Value">Its value now.</param>
/// <param name="Previous">Its value before.</param>
internal sealed record SettingOutcome(string Name, string Value, string Previous)
{
    public bool Changed => Value != Previous;
}

/// <summary>
/// Sets the kernel parameters that <c>ipamd init</c> sets, as the init container of the AWS VPC CNI does. The daemon repairs the reverse
/// path filters of all interfaces later; this sets that of the primary one before the daemon starts.
/// </summary>
internal static class NodeSettings
{
    /// <summary>Sets the parameters; writes only those with another value.</summary>
    /// <param name="settings">Parameters of the node's namespace.</param>
    /// <param name="primaryLink">Name of the primary interface's link.</param>
    /// <param name="earlyDemuxDisabled">
    /// DISABLE_TCP_EARLY_DEMUX: kubelet's TCP probes of pods on branch interfaces need it (a packet that arrives by one link for a socket
    /// that was found early is answered by another).
    /// </param>
    /// <param name="ipv6">Whether pods have IPv6 addresses, or reach IPv6 destinations by the node's.</param>
    /// <exception cref="HostNetworkException">A parameter does not exist or cannot be set.</exception>
    public static IReadOnlyList<SettingOutcome> Apply(IKernelSettings settings, string primaryLink, bool earlyDemuxDisabled, bool ipv6) =>
        [
            Set(settings, KernelSettings.OfLink(IpFamily.V4, primaryLink, KernelSettings.ReversePathFilter), "2"),
            Set(settings, "ipv4/tcp_early_demux", earlyDemuxDisabled ? "0" : "1"),
            .. ipv6 ? SetIpv6(settings, primaryLink) : [],
        ];

    /// <summary>
    /// The node keeps its default route of router advertisements, which the kernel ignores on a node that forwards unless told otherwise.
    /// </summary>
    private static IReadOnlyList<SettingOutcome> SetIpv6(IKernelSettings settings, string primaryLink) =>
        [
            Set(settings, KernelSettings.OfLink(IpFamily.V6, KernelSettings.AllLinks, "disable_ipv6"), "0"),
            Set(settings, KernelSettings.OfLink(IpFamily.V6, primaryLink, KernelSettings.AcceptAdvertisements), "2"),
            Set(settings, KernelSettings.OfLink(IpFamily.V6, KernelSettings.AllLinks, KernelSettings.Forwarding), "1"),
        ];

    private static SettingOutcome Set(IKernelSettings settings, string path, string value)
    {
        var name = $"net.{path.Replace('/', '.')}";
        var previous = settings.Read(path) ?? throw new HostNetworkException($"this kernel has no parameter {name}");
        if (previous != value && !settings.Write(path, value))
            throw new HostNetworkException($"the parameter {name} vanished while it was set");
        return new SettingOutcome(name, value, previous);
    }
}
