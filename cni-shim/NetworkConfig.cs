// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Shim;

/// <summary>An attachment that the runtime still has, from the list that GC passes.</summary>
internal sealed record ValidAttachment(string ContainerId, string InterfaceName);

/// <summary>
/// The network configuration of one call, validated. Keys and defaults are those of the AWS VPC CNI's plugin, so that its conflist works
/// unchanged; <c>pluginLogFormat</c>, <c>ipamdSocket</c>, <c>ipamdTimeoutSeconds</c>, <c>ipamdWaitSeconds</c>, <c>enableV4Egress</c>,
/// <c>enableV6Egress</c> and <c>statusNeedsFreeAddress</c> are ours.
/// </summary>
internal sealed record NetworkConfig
{
    public const string DefaultSocket = "/var/run/aws-node/ipamd.sock";

    public CniVersion Version { get; init; }
    public string Name { get; init; } = "";

    /// <summary>Prefix of every host veth's name.</summary>
    public string VethPrefix { get; init; } = "eni";

    /// <summary>Of both ends of the veth; the jumbo frames of a VPC.</summary>
    public int Mtu { get; init; } = 9001;

    /// <summary>"-", "stderr", "stdout", their devices and nothing mean stderr: stdout carries the result only.</summary>
    public string LogFile { get; init; } = "";

    public PluginLogLevel LogLevel { get; init; } = PluginLogLevel.Debug;
    public LogFormat LogFormat { get; init; } = LogFormat.Text;
    public string IpamdSocket { get; init; } = DefaultSocket;

    /// <summary>
    /// Deadline of AddNetwork. Longer than the 20 s for which the daemon lets an ADD wait for the pool, so that the daemon's reason arrives
    /// before the deadline.
    /// </summary>
    public TimeSpan IpamdTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long ADD, CHECK and GC wait for a daemon that does not answer, within their deadline; 0: they fail at once.</summary>
    public TimeSpan IpamdWait { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>STATUS fails while no address is free. Off by default: NotReady evicts the pods of a node that is only full.</summary>
    public bool StatusNeedsFreeAddress { get; init; }

    /// <summary>
    /// Pods without an IPv4 address get a node-local one for connections to IPv4 destinations. Off by default: a conflist that calls
    /// egress-cni does it by that plugin.
    /// </summary>
    public bool V4Egress { get; init; }

    /// <summary>As <see cref="V4Egress"/>, with the families exchanged.</summary>
    public bool V6Egress { get; init; }

    public CniResult? PreviousResult { get; init; }

    /// <summary>The pod has the annotation for an interface on every network card, which the runtime passes by a capability.</summary>
    public bool RequiresMultiNic { get; init; }

    /// <summary>GC only. Null if the configuration has no list, which means "unknown", not "none".</summary>
    public IReadOnlyList<ValidAttachment>? ValidAttachments { get; init; }

    /// <summary>Problems that were tolerated, for the log.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Whether a pod with these addresses gets a node-local address of the family that they lack.</summary>
    public bool HasNodeLocalAddress(IReadOnlyList<IPAddress> addresses) =>
        NodeLocalAddresses.MissingFamily(addresses) switch
        {
            IpFamily.V4 => V4Egress,
            IpFamily.V6 => V6Egress,
            _ => false,
        };
}
