// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// Receives the desired state of a VPC's network. Every method only records the state and returns at once; all are idempotent and
/// thread-safe. <see cref="VpcFabric"/> implements it in a lab.
/// </summary>
internal interface IVpcFabric
{
    /// <summary>Adds the link of this interface to its node.</summary>
    void Attach(FabricInterface nic);

    /// <summary>Removes the link of this interface.</summary>
    void Detach(string interfaceId);

    /// <summary>
    /// Sets the addresses and prefixes that the interface owns. Ignored if the interface is not attached, because <see cref="Attach"/> sets
    /// them.
    /// </summary>
    void SetAddresses(string interfaceId, IReadOnlyList<IPNetwork> addresses);

    /// <summary>Sets whether the interface may forward. Ignored if it is not attached, because <see cref="Attach"/> sets that.</summary>
    void SetForwarding(string interfaceId, bool mayForward);

    /// <summary>Replaces the routes of the route tables.</summary>
    void SetRoutes(IReadOnlyList<FabricRoute> routes);

    /// <summary>Sets the VPC's address ranges.</summary>
    void SetRanges(IReadOnlyList<IPNetwork> ranges);
}
