// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;
using VpcCni.Ipamd.Clouds.Aws.Imds;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Ranges of subnets by id. A description of an interface names its subnet only, and a subnet's IPv4 range never changes, so each subnet is
/// asked for once in the daemon's life: of the instance metadata where an interface of this node is in it, since that costs no call and
/// needs no permission (roles that were written by hand often lack ec2:DescribeSubnets); else of EC2, all unknown ones in one call. An IPv6
/// range can be associated later: a subnet known without one is asked for again when it is needed.
/// </summary>
internal sealed class SubnetRanges(Ec2Caller caller, InterfaceMetadata metadata)
{
    private const string Operation = "DescribeSubnets";
    private readonly ConcurrentDictionary<string, Ranges> _known = new(StringComparer.Ordinal);

    /// <summary>Either may be absent, not both.</summary>
    internal sealed record Ranges(IPNetwork? Ipv4, IPNetwork? Ipv6);

    /// <summary>Makes the ranges of these interfaces' subnets known: one call for all that are not yet, none if all are.</summary>
    public async Task LoadAsync(IAmazonEC2 ec2, IReadOnlyCollection<NetworkInterface> interfaces, CancellationToken cancellationToken)
    {
        foreach (var eni in interfaces)
        {
            if (IsUnknown(eni) && eni.Attachment is not null && eni.MacAddress is { } mac)
                await AskMetadataAsync(eni.SubnetId!, mac, cancellationToken);
        }

        await AskAsync(
            ec2,
            interfaces.Where(IsUnknown).Select(eni => eni.SubnetId!).Distinct(StringComparer.Ordinal).ToList(),
            cancellationToken
        );
    }

    /// <summary>Makes a subnet's ranges known.</summary>
    public Task LoadAsync(IAmazonEC2 ec2, string subnetId, CancellationToken cancellationToken) =>
        AskAsync(ec2, Find(subnetId, needIpv6: false) is null ? [subnetId] : [], cancellationToken);

    /// <summary>Takes over what somebody else asked for.</summary>
    public void Learn(IEnumerable<Subnet> described)
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
    /// An interface with IPv6 addresses only is one of an IPv6-only subnet; one without any needs no range of a certain family.
    /// </summary>
    private bool IsUnknown(NetworkInterface eni) =>
        !string.IsNullOrEmpty(eni.SubnetId)
        && Find(eni.SubnetId, needIpv6: eni.PrivateIpAddress is null && eni.Ipv6Addresses is { Count: > 0 }) is null;

    /// <summary>
    /// What the metadata lacks, as it does of an interface that is being attached, or says in another form, EC2 is asked for.
    /// </summary>
    private async Task AskMetadataAsync(string subnetId, string mac, CancellationToken cancellationToken)
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
            // Asked of EC2 next, whose failure is the one that is reported.
        }
    }

    private async Task AskAsync(IAmazonEC2 ec2, List<string> unknown, CancellationToken cancellationToken)
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
        Learn(response.Subnets ?? []);
    }

    /// <summary>Of a subnet that was loaded.</summary>
    public Ranges Get(string? subnetId) =>
        _known.TryGetValue(subnetId ?? "", out var ranges)
            ? ranges
            : throw InterfaceMapping.Unreadable(Operation, $"the answer lacks '{subnetId}', which was asked for");

    private Ranges? Find(string subnetId, bool needIpv6) =>
        _known.TryGetValue(subnetId, out var ranges) && (!needIpv6 || ranges.Ipv6 is not null) ? ranges : null;

    private static IPNetwork? Parse(string? range) => string.IsNullOrEmpty(range) ? null : InterfaceMapping.Prefix(range, Operation);
}
