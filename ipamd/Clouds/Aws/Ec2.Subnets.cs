// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Model;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>Describes the subnets that new interfaces may be created in.</summary>
internal sealed partial class Ec2
{
    private const string DescribeSubnetsOperation = "DescribeSubnets";

    public async Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        var request = new DescribeSubnetsRequest
        {
            Filters = [new Filter("vpc-id", [node.Identity.NetworkId]), new Filter("availability-zone", [node.Identity.Zone])],
        };
        var response = await _caller.CallAsync(
            DescribeSubnetsOperation,
            Idempotency.Safe,
            token => node.Ec2.DescribeSubnetsAsync(request, token),
            cancellationToken
        );

        _subnets.Store(response.Subnets ?? []);

        // An IPv6-only subnet has no IPv4 range; no interface is created there.
        return [.. (response.Subnets ?? []).Where(subnet => !string.IsNullOrEmpty(subnet.CidrBlock)).Select(ToCloudSubnet)];
    }

    /// <exception cref="CloudException">Also of kind <see cref="CloudErrorKind.Invalid"/> for an IPv6-only subnet.</exception>
    public async Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        // By filter: an unknown or malformed id is an empty answer then, not an error.
        var request = new DescribeSubnetsRequest { Filters = [new Filter("subnet-id", [subnetId])] };
        var response = await _caller.CallAsync(
            DescribeSubnetsOperation,
            Idempotency.Safe,
            token => node.Ec2.DescribeSubnetsAsync(request, token),
            cancellationToken
        );
        _subnets.Store(response.Subnets ?? []);
        if (response.Subnets?.FirstOrDefault(subnet => subnet.SubnetId == subnetId) is not { } found)
            return null;
        return string.IsNullOrEmpty(found.CidrBlock)
            ? throw new CloudException(CloudErrorKind.Invalid, DescribeSubnetsOperation, "NoIpv4Range", $"{subnetId} has no IPv4 range")
            : ToCloudSubnet(found);
    }

    private static CloudSubnet ToCloudSubnet(Subnet subnet) =>
        new(
            subnet.SubnetId ?? throw InterfaceMapping.Unreadable(DescribeSubnetsOperation, "a subnet lacks its id"),
            subnet.VpcId ?? "",
            subnet.AvailabilityZone ?? "",
            InterfaceMapping.Prefix(subnet.CidrBlock, DescribeSubnetsOperation),
            subnet.AvailableIpAddressCount ?? 0,
            (subnet.Tags ?? []).ToDictionary(tag => tag.Key ?? "", tag => tag.Value ?? "", StringComparer.Ordinal)
        );
}
