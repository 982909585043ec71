// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Datapath;
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// The pool's access to the host's network: configures interfaces and reads which addresses are in use. <see cref="KernelHostNetwork"/>
/// implements it on <see cref="IHostKernel"/>.
/// </summary>
internal interface IHostNetwork
{
    /// <summary>
    /// Configures an interface for pods: link up, MTU, primary address, route table, rule. Idempotent; changes only what differs.
    /// </summary>
    /// <param name="wiring">The desired state of the interface.</param>
    /// <param name="linkDeadline">Longest wait for its link; zero when it was attached long ago.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="HostNetworkException">It failed; pods must not get addresses of this interface.</exception>
    /// <exception cref="InvalidOperationException">Nothing watches the links, see <see cref="WatchLinks"/>.</exception>
    Task EnsureInterfaceAsync(InterfaceWiring wiring, TimeSpan linkDeadline, CancellationToken cancellationToken);

    /// <summary>
    /// Removes what <see cref="EnsureInterfaceAsync"/> made and does not go with the link: the rules that lead to its table. Idempotent.
    /// </summary>
    /// <exception cref="HostNetworkException">It failed.</exception>
    void RemoveInterface(Slot slot, IPAddress primaryAddress);

    /// <summary>
    /// Addresses with a host route, and the links that they lead to. Such an address is in use, whatever any record says.
    /// </summary>
    IReadOnlyList<PodRoute> PodRoutes();

    /// <summary>Addresses on links of the host, which no pod can use, and the links.</summary>
    /// <exception cref="HostNetworkException">The kernel could not be read.</exception>
    IReadOnlyList<LinkAddress> HostAddresses();

    /// <summary>Names of the host's veths, routed or not, the host ends of pods' links among them.</summary>
    IReadOnlyCollection<string> HostInterfaces();

    /// <summary>
    /// Reports links from now on. Call it once, before <see cref="EnsureInterfaceAsync"/>. Both callbacks are called on any thread and must
    /// be quick and not throw.
    /// </summary>
    /// <param name="seen">
    /// Called when there is a link with this MAC address; null when any link may have appeared. Called often.
    /// </param>
    /// <param name="lost">Called when the link with this MAC address is gone.</param>
    /// <exception cref="InvalidOperationException">The links are watched already.</exception>
    void WatchLinks(Action<string?> seen, Action<string> lost);

    /// <summary>Whether the path of a pod's network namespace exists.</summary>
    NamespacePresence NamespaceAt(string path);
}

/// <summary>Whether a network namespace exists, by its path.</summary>
internal enum NamespacePresence
{
    /// <summary>The folder of the path is in another mount namespace, or the path is empty.</summary>
    Unknown,

    /// <summary>The path exists.</summary>
    Present,

    /// <summary>The folder exists and the path does not: the runtime has removed the namespace.</summary>
    Gone,
}

/// <summary>A host route to one address.</summary>
/// <param name="HostInterface">The link that it leads to: the host end of a pod's link, unless <see cref="Foreign"/>.</param>
/// <param name="Address">The address.</param>
internal readonly record struct PodRoute(string HostInterface, IPAddress Address)
{
    /// <summary>Why the link is no pod's, half a sentence; null when it is a pod's.</summary>
    public string? Foreign { get; init; }
}

/// <summary>An address of the host itself.</summary>
/// <param name="Link">The link that it is configured on.</param>
/// <param name="Address">Without its prefix length.</param>
internal readonly record struct LinkAddress(string Link, IPAddress Address);

/// <summary>The desired state of an interface for pods.</summary>
internal sealed record InterfaceWiring
{
    /// <summary>Identifies the link: its name is the distribution's choice, the MAC address is the cloud's.</summary>
    public required string Mac { get; init; }
    public required Slot Slot { get; init; }
    public required IPAddress PrimaryAddress { get; init; }

    /// <summary>
    /// The subnet; the gateway is its base + 1 (VPC User Guide, "Subnet sizing": the first address after the base is the router's).
    /// </summary>
    public required IPNetwork SubnetRange { get; init; }

    /// <summary>Bytes.</summary>
    public required int Mtu { get; init; }

    /// <summary>Whether it has IPv6 addresses for pods, which leave by its route table, too.</summary>
    public bool CarriesIpv6 { get; init; }

    /// <summary>The families of its route table.</summary>
    public IEnumerable<AddressFamily> Families =>
        IpFamily.All.Where(family => family == PrimaryAddress.AddressFamily || (CarriesIpv6 && family == IpFamily.V6));

    public int RouteTable => RouteTables.Of(Slot);
    public bool IsPrimary => Slot.IsPrimary;
}

/// <summary>The host's network could not be read or changed.</summary>
internal sealed class HostNetworkException(string message, Exception? innerException = null)
    : Exception(Truncate.Of(message, Truncate.LongestMessage), innerException),
        IExpectedFailure
{
    string IExpectedFailure.FailureKind => "HostNetwork";

    string? IExpectedFailure.RequestId => null;

    public override string ToString() => Truncate.Of(this, Message);
}
