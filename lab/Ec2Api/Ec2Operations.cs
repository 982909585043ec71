// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>
/// An operation in three steps: parse the parameters and reject malformed ones (without the world), execute it (under the world's lock),
/// and write the response (from immutable values, outside the lock).
/// </summary>
internal delegate Func<VpcWorld, Action<Ec2Xml>> Ec2Operation(QueryRequest request);

/// <summary>The operations by name (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Operations.html).</summary>
internal static class Ec2Operations
{
    public static IReadOnlyDictionary<string, Ec2Operation> All { get; } =
        new Dictionary<string, Ec2Operation>(StringComparer.Ordinal)
        {
            ["CreateNetworkInterface"] = InterfaceOperations.Create,
            ["DeleteNetworkInterface"] = InterfaceOperations.Delete,
            ["DescribeNetworkInterfaces"] = InterfaceOperations.Describe,
            ["ModifyNetworkInterfaceAttribute"] = InterfaceOperations.Modify,
            ["AttachNetworkInterface"] = InterfaceOperations.Attach,
            ["DetachNetworkInterface"] = InterfaceOperations.Detach,
            ["AssignPrivateIpAddresses"] = AddressOperations.AssignIpv4,
            ["UnassignPrivateIpAddresses"] = AddressOperations.UnassignIpv4,
            ["AssignIpv6Addresses"] = AddressOperations.AssignIpv6,
            ["UnassignIpv6Addresses"] = AddressOperations.UnassignIpv6,
            ["DescribeInstances"] = DescribeOperations.Instances,
            ["DescribeInstanceTypes"] = DescribeOperations.InstanceTypes,
            ["DescribeSubnets"] = DescribeOperations.Subnets,
            ["DescribeVpcs"] = DescribeOperations.Vpcs,
            ["DescribeSecurityGroups"] = DescribeOperations.SecurityGroups,
            ["AuthorizeSecurityGroupIngress"] = SecurityGroupOperations.AuthorizeIngress,
            ["AuthorizeSecurityGroupEgress"] = SecurityGroupOperations.AuthorizeEgress,
            ["RevokeSecurityGroupIngress"] = SecurityGroupOperations.RevokeIngress,
            ["RevokeSecurityGroupEgress"] = SecurityGroupOperations.RevokeEgress,
            ["CreateRoute"] = RouteOperations.Create,
            ["ReplaceRoute"] = RouteOperations.Replace,
            ["DeleteRoute"] = RouteOperations.Delete,
            ["DescribeRouteTables"] = RouteOperations.Describe,
            ["DescribeTags"] = TagOperations.Describe,
            ["CreateTags"] = TagOperations.Create,
            ["DeleteTags"] = TagOperations.Delete,
        };

    /// <summary>Writes the response of operations that return only success.</summary>
    public static readonly Action<Ec2Xml> ReturnTrue = xml => xml.Value("return", value: true);
}
