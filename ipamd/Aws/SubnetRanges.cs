// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;

namespace VpcCni.Ipamd.Aws;

/// <summary>
/// Ranges of subnets by id. A description of an interface names its subnet only, and a subnet's IPv4 range never changes, so each subnet is asked for once in the daemon's life
/// (all unknown ones in one call). An IPv6 range can be associated later: a subnet known without one is asked for again when it is needed.
/// </summary>
internal sealed class SubnetRanges(Ec2Caller caller)
{
    private const string Operation = "DescribeSubnets";
    private readonly ConcurrentDictionary<string, Ranges> _known = new(StringComparer.Ordinal);

    /// <summary>Either may be absent, not both.</summary>
    internal sealed record Ranges(IPNetwork? Ipv4, IPNetwork? Ipv6);

    /// <summary>Makes the ranges of these interfaces' subnets known: one call for all that are not yet, none if all are.</summary>
    public Task LoadAsync(IAmazonEC2 ec2, IEnumerable<NetworkInterface> interfaces, CancellationToken cancellationToken)
    {
        // An interface with IPv6 addresses only is one of an IPv6-only subnet; one without any needs no range of a certain family.
        var unknown = interfaces.Where(eni => !string.IsNullOrEmpty(eni.SubnetId) && Find(eni.SubnetId, needIpv6: eni.PrivateIpAddress is null && eni.Ipv6Addresses is { Count: > 0 }) is null)
            .Select(eni => eni.SubnetId!).Distinct(StringComparer.Ordinal).ToList();
        return AskAsync(ec2, unknown, cancellationToken);
    }

    /// <summary>Makes a subnet's ranges known.</summary>
    public Task LoadAsync(IAmazonEC2 ec2, string subnetId, CancellationToken cancellationToken)
        => AskAsync(ec2, Find(subnetId, needIpv6: false) is null ? [subnetId] : [], cancellationToken);

    /// <summary>Takes over what somebody else asked for.</summary>
    public void Learn(IEnumerable<Subnet> described)
    {
        foreach (var subnet in described)
        {
            var ipv6 = subnet.Ipv6CidrBlockAssociationSet?.FirstOrDefault(range => range.Ipv6CidrBlockState?.State == SubnetCidrBlockStateCode.Associated)?.Ipv6CidrBlock;
            _known[subnet.SubnetId ?? ""] = new Ranges(Parse(subnet.CidrBlock), Parse(ipv6));
        }
    }

    private async Task AskAsync(IAmazonEC2 ec2, List<string> unknown, CancellationToken cancellationToken)
    {
        if (unknown.Count == 0) return;
        var request = new DescribeSubnetsRequest { SubnetIds = unknown };
        var response = await caller.CallAsync(Operation, Ec2Repeat.Harmless, token => ec2.DescribeSubnetsAsync(request, token), cancellationToken);
        Learn(response.Subnets ?? []);
    }

    /// <summary>Of a subnet that was loaded.</summary>
    public Ranges Get(string? subnetId) => _known.TryGetValue(subnetId ?? "", out var ranges) ? ranges
        : throw InterfaceMapping.Unreadable(Operation, $"the answer lacks '{subnetId}', which was asked for");

    private Ranges? Find(string subnetId, bool needIpv6) => _known.TryGetValue(subnetId, out var ranges) && (!needIpv6 || ranges.Ipv6 is not null) ? ranges : null;

    private static IPNetwork? Parse(string? range) => string.IsNullOrEmpty(range) ? null : InterfaceMapping.Prefix(range, Operation);
}
