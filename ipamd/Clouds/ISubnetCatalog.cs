// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Clouds;

/// <summary>The subnets that new interfaces can be created in.</summary>
internal interface ISubnetCatalog
{
    /// <summary>
    /// Returns the subnets of the node's network and zone, the primary interface's included, with tags and free addresses. One call.
    /// </summary>
    Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken);

    /// <summary>Returns a subnet in any zone and network; null when the id does not exist. One call.</summary>
    Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken);
}

/// <summary>A subnet.</summary>
/// <param name="Id">The subnet's id.</param>
/// <param name="NetworkId">Its virtual network.</param>
/// <param name="Zone">Its zone.</param>
/// <param name="Range">Its IPv4 range.</param>
/// <param name="FreeAddresses">Number of unassigned IPv4 addresses; says nothing about aligned prefixes.</param>
/// <param name="Tags">All of its tags.</param>
internal sealed record CloudSubnet(
    string Id,
    string NetworkId,
    string Zone,
    IPNetwork Range,
    int FreeAddresses,
    IReadOnlyDictionary<string, string> Tags
);
