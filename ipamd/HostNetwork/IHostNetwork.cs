// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Logging;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>What the daemon does in the host's network namespace. One implementation for the kernel, one fake for the simulation.</summary>
internal interface IHostNetwork
{
    /// <summary>
    /// Makes the kernel route the interface's pods: link up with the right MTU, primary address, route table, rule. Idempotent; repairs
    /// what differs.
    /// </summary>
    /// <param name="wiring">What the interface must look like.</param>
    /// <param name="linkDeadline">
    /// How long its link may take to appear: some seconds for an interface that was attached a moment ago, zero for one that should be
    /// there.
    /// </param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="HostNetworkException">It could not be done; pods must not get addresses of this interface.</exception>
    Task EnsureInterfaceAsync(InterfaceWiring wiring, TimeSpan linkDeadline, CancellationToken cancellationToken);

    /// <summary>
    /// Removes what <see cref="EnsureInterfaceAsync"/> put outside of the link itself: the rules that lead to its table. Idempotent.
    /// </summary>
    /// <exception cref="HostNetworkException">It could not be done.</exception>
    void RemoveInterface(int deviceIndex, int networkCard, IPAddress primaryAddress);

    /// <summary>
    /// Addresses that the kernel routes to one link right now, with that link: the evidence that an address is in use, whatever any record
    /// says. Most links are pods'; <see cref="PodRoute.Foreign"/> tells.
    /// </summary>
    IReadOnlyList<PodRoute> PodRoutes();

    /// <summary>Addresses that are configured on links of the host, with the link: the host itself uses them, no pod can.</summary>
    /// <exception cref="HostNetworkException">The kernel could not be asked.</exception>
    IReadOnlyList<LinkAddress> HostAddresses();

    /// <summary>Names of the veth links of the host, routed or not: the hosts' ends of pods' pairs are among them.</summary>
    IReadOnlyCollection<string> HostInterfaces();

    /// <summary>
    /// Called when there is a link with this MAC address; null: any link may have come. Often, and from any thread: must be quick and not
    /// throw.
    /// </summary>
    Action<string?> LinkSeen { get; set; }

    /// <summary>Called when the link with this MAC address is gone. From any thread: must be quick and not throw.</summary>
    Action<string> LinkLost { get; set; }

    /// <summary>Whether the path of a pod's network namespace still leads anywhere.</summary>
    NamespacePresence NamespaceAt(string path);
}

/// <summary>What is known of a network namespace by its path.</summary>
internal enum NamespacePresence
{
    /// <summary>The folder of the path cannot be seen from here (another mount namespace), or the path is empty.</summary>
    Unknown,

    /// <summary>The path leads to something.</summary>
    Present,

    /// <summary>The folder is here and the path is not: whoever made the namespace has removed it.</summary>
    Gone,
}

/// <summary>A host route to one address.</summary>
/// <param name="HostInterface">The link that it leads to: the host's end of a pod's veth pair, unless it is foreign.</param>
/// <param name="Address">The address.</param>
internal readonly record struct PodRoute(string HostInterface, IPAddress Address)
{
    /// <summary>Why the link is no pod's, half a sentence; null when it is.</summary>
    public string? Foreign { get; init; }
}

/// <summary>An address of the host itself.</summary>
/// <param name="Link">The link that it is configured on.</param>
/// <param name="Address">Without its prefix length.</param>
internal readonly record struct LinkAddress(string Link, IPAddress Address);

/// <summary>Everything about an interface that its wiring depends on.</summary>
internal sealed record InterfaceWiring
{
    /// <summary>Finds the link: names are the distribution's choice, the MAC is the cloud's.</summary>
    public required string Mac { get; init; }
    public required int DeviceIndex { get; init; }
    public required int NetworkCard { get; init; }
    public required IPAddress PrimaryAddress { get; init; }

    /// <summary>
    /// The subnet; the gateway is its base + 1 (VPC User Guide, "Subnet sizing": the first address after the base is the router's).
    /// </summary>
    public required IPNetwork SubnetRange { get; init; }

    /// <summary>Bytes.</summary>
    public required int Mtu { get; init; }

    public int RouteTable => RouteTables.Of(Slot);

    /// <summary>The slot of the interface.</summary>
    public Slot Slot => new(NetworkCard, DeviceIndex);
    public bool IsPrimary => DeviceIndex == 0 && NetworkCard == 0;
}

/// <summary>The host's network is not what it must be, and why.</summary>
internal sealed class HostNetworkException(string message, Exception? innerException = null)
    : Exception(Truncate.Of(message, Truncate.LongestMessage), innerException),
        IExpectedFailure
{
    string IExpectedFailure.FailureKind => "HostNetwork";

    string? IExpectedFailure.RequestId => null;

    public override string ToString() => Truncate.Of(this, Message);
}
