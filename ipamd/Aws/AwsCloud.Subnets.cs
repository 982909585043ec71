// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Model;
using VpcCni.Ipamd.Cloud;

namespace VpcCni.Ipamd.Aws;

/// <summary>Subnets that new interfaces may be created in.</summary>
internal sealed partial class AwsCloud
{
    public async Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken)
    {
        const string operation = "DescribeSubnets";
        var node = await GetNodeAsync(cancellationToken);
        var request = new DescribeSubnetsRequest { Filters = [new Filter("vpc-id", [node.Identity.NetworkId]), new Filter("availability-zone", [node.Identity.Zone])] };
        var response = await _caller.CallAsync(operation, Ec2Repeat.Harmless, token => node.Ec2.DescribeSubnetsAsync(request, token), cancellationToken);

        _subnets.Learn(response.Subnets ?? []);

        // A subnet of IPv6 only has no IPv4 range; no interface of ours is created there.
        return
        [
            .. (response.Subnets ?? []).Where(subnet => !string.IsNullOrEmpty(subnet.CidrBlock)).Select(subnet => new CloudSubnet(
                subnet.SubnetId ?? throw InterfaceMapping.Unreadable(operation, "a subnet lacks its id"),
                InterfaceMapping.Prefix(subnet.CidrBlock, operation),
                subnet.AvailableIpAddressCount ?? 0,
                (subnet.Tags ?? []).ToDictionary(tag => tag.Key ?? "", tag => tag.Value ?? "", StringComparer.Ordinal))),
        ];
    }
}
