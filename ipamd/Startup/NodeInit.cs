// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Options;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Startup;

/// <summary>
/// <c>ipamd init</c>: sets up the node before the daemon starts. Reads the primary interface from the instance metadata and changes kernel
/// settings only.
/// </summary>
internal static class NodeInit
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <summary>Applies the settings.</summary>
    /// <exception cref="HostNetworkException">The kernel lacks a setting or rejects it.</exception>
    /// <exception cref="CloudException">The metadata service did not answer in time.</exception>
    public static async Task<IReadOnlyList<SettingOutcome>> RunAsync(
        IpamdOptions options,
        TimeProvider time,
        Random random,
        CancellationToken cancellationToken
    )
    {
        using var limit = new CancellationTokenSource(Deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var identity = await CloudComposition.IdentifyNodeAsync(options, time, random, both.Token);
            using var netlink = RouteNetlink.Open();
            var link =
                netlink.FindLinkByMac(MacAddress.Parse(identity.PrimaryMac))
                ?? throw new HostNetworkException($"there is no link with the primary interface's MAC {identity.PrimaryMac}");
            return NodeSettings.Apply(
                new KernelSettings(ns: null, options.KernelSettingsFolder),
                link.Name,
                options.TcpEarlyDemuxDisabled,
                options.Families.Contains(IpFamily.V6) || options.HostNetwork.Ipv6Egress
            );
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException($"the links of the node could not be read: {exception.Message}", exception);
        }
        catch (OperationCanceledException exception) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new CloudException(
                CloudErrorKind.Transient,
                "IdentifyNode",
                "Timeout",
                $"the metadata service did not answer within {Deadline.TotalSeconds:0} s",
                innerException: exception
            );
        }
    }
}
