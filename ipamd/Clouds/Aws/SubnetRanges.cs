// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;
using VpcCni.Ipamd.Clouds.Aws.Imds;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Ranges of subnets by id. A description of an interface only names its subnet, and a subnet's IPv4 range never changes, so each subnet is
/// read once per daemon run: from the instance metadata when an interface of this node is in it, which costs no call and needs no
/// permission (hand-written roles often lack ec2:DescribeSubnets); otherwise from EC2, all unknown ones in one call. An IPv6 range can be
/// associated later: a subnet known without one is read again when it is needed.
/// </summary>
internal sealed class SubnetRanges(Ec2Caller caller, InterfaceMetadata metadata)
{
    private const string Operation = "DescribeSubnets";
    private readonly ConcurrentDictionary<string, Ranges> _known = new(StringComparer.Ordinal);

    /// <summary>Ranges of a subnet; at least one is not null.</summary>
    internal sealed record Ranges(IPNetwork? Ipv4, IPNetwork? Ipv6);

    /// <summary>Loads the ranges of the interfaces' subnets: at most one call for all unknown ones.</summary>
    public async Task LoadAsync(IAmazonEC2 ec2, IReadOnlyCollection<NetworkInterface> interfaces, CancellationToken cancellationToken)
    {
        foreach (var eni in interfaces)
        {
            if (IsUnknown(eni) && eni.Attachment is not null && eni.MacAddress is { } mac)
                await ReadMetadataAsync(eni.SubnetId!, mac, cancellationToken);
        }

        await DescribeAsync(
            ec2,
            interfaces.Where(IsUnknown).Select(eni => eni.SubnetId!).Distinct(StringComparer.Ordinal).ToList(),
            cancellationToken
        );
    }

    /// <summary>Loads a subnet's ranges.</summary>
    public Task LoadAsync(IAmazonEC2 ec2, string subnetId, CancellationToken cancellationToken) =>
        DescribeAsync(ec2, Find(subnetId, needIpv6: false) is null ? [subnetId] : [], cancellationToken);

    /// <summary>Stores the ranges of subnets that another call described.</summary>
    public void Store(IEnumerable<Subnet> described)
    {
        foreach (var subnet in described)
        {
            var ipv6 = subnet
                .Ipv6CidrBlockAssociationSet?.FirstOrDefault(range =>
                    range.Ipv6CidrBlockState?.State == SubnetCidrBlockStateCode.Associated
                )
                ?.Ipv6CidrBlock;
            _known[subnet.SubnetId ?? ""] = new Ranges(Parse(subnet.CidrBlock), Parse(ipv6));
        }
    }

    /// <summary>
    /// Whether a needed range is unknown. An interface with only IPv6 addresses is in an IPv6-only subnet; one without addresses needs no
    /// particular family.
    /// </summary>
    private bool IsUnknown(NetworkInterface eni) =>
        !string.IsNullOrEmpty(eni.SubnetId)
        && Find(eni.SubnetId, needIpv6: eni.PrivateIpAddress is null && eni.Ipv6Addresses is { Count: > 0 }) is null;

    /// <summary>
    /// Reads a subnet from the metadata. Leaves it to EC2 when the metadata lacks it, as during an attach, or has another form.
    /// </summary>
    private async Task ReadMetadataAsync(string subnetId, string mac, CancellationToken cancellationToken)
    {
        try
        {
            if (
                await metadata.ReadSubnetAsync(mac, cancellationToken) is { } found
                && found.Id == subnetId
                && (found.Ipv4 ?? found.Ipv6) is not null
            )
                _known[subnetId] = new Ranges(found.Ipv4, found.Ipv6);
        }
        catch (CloudException)
        {
            // EC2 is called next; its failure is the one to report.
        }
    }

    private async Task DescribeAsync(IAmazonEC2 ec2, List<string> unknown, CancellationToken cancellationToken)
    {
        if (unknown.Count == 0)
            return;
        var request = new DescribeSubnetsRequest { SubnetIds = unknown };
        var response = await caller.CallAsync(
            Operation,
            Idempotency.Safe,
            token => ec2.DescribeSubnetsAsync(request, token),
            cancellationToken
        );
        Store(response.Subnets ?? []);
    }

    /// <summary>Returns the ranges of a loaded subnet.</summary>
    public Ranges Get(string? subnetId) =>
        _known.TryGetValue(subnetId ?? "", out var ranges)
            ? ranges
            : throw InterfaceMapping.Unreadable(Operation, $"the answer lacks the requested '{subnetId}'");

    private Ranges? Find(string subnetId, bool needIpv6) =>
        _known.TryGetValue(subnetId, out var ranges) && (!needIpv6 || ranges.Ipv6 is not null) ? ranges : null;

    private static IPNetwork? Parse(string? range) => string.IsNullOrEmpty(range) ? null : InterfaceMapping.Prefix(range, Operation);
}
