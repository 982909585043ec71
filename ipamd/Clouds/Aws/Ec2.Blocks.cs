// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Amazon.EC2.Model;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>Assigns and unassigns address blocks of an interface.</summary>
internal sealed partial class Ec2
{
    public async Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
        NetworkInterfaceId id,
        BlockRequest request,
        CancellationToken cancellationToken
    )
    {
        if (request.Count <= 0)
            throw new ArgumentOutOfRangeException(nameof(request), request.Count, "expected at least one block");
        var node = await GetNodeAsync(cancellationToken);
        var (operation, added) =
            request.Shape.Family == IpFamily.V4
                ? ("AssignPrivateIpAddresses", await AssignIpv4Async(node, id, request, cancellationToken))
                : ("AssignIpv6Addresses", await AssignIpv6Async(node, id, request, cancellationToken));

        // EC2 assigns all or nothing. An answer with another number is invalid: the caller has to describe the interface.
        return added.Count == request.Count
            ? added
            : throw InterfaceMapping.Unreadable(
                operation,
                $"{request.Count} blocks were requested on {id}, but the answer has {added.Count}"
            );
    }

    /// <summary>
    /// Makes one call per address family, or two, since EC2 rejects addresses and prefixes of one family in one call. When EC2 rejects the
    /// call because some blocks are not on the interface, describes the interface and unassigns the rest. Must not run concurrently with an
    /// assign on the same interface: a block that was just assigned again must not be mistaken for the one to unassign.
    /// </summary>
    public async Task UnassignBlocksAsync(NetworkInterfaceId id, IReadOnlyList<IPNetwork> blocks, CancellationToken cancellationToken)
    {
        if (blocks.Count == 0)
            return;
        var node = await GetNodeAsync(cancellationToken);
        var isFirst = true;
        foreach (
            var group in blocks
                .GroupBy(BlockShape.Of)
                .OrderBy(group => IpFamily.Bits(group.Key.Family))
                .ThenByDescending(group => group.Key.PrefixLength)
        )
        {
            try
            {
                await UnassignAsync(node, id, group.Key, [.. group], cancellationToken);
            }
            catch (CloudException e) when (Ec2ErrorCodes.IsNotAssigned(e))
            {
                await UnassignRemainingAsync(node, id, group.Key, [.. group], e, cancellationToken);
            }
            catch (CloudException e) when (!isFirst)
            {
                throw WithUnknownOutcome(e);
            }

            isFirst = false;
        }
    }

    /// <summary>
    /// Unassigns the blocks that the interface still has, after EC2 rejected the call because of the others. Those were unassigned before,
    /// so from here on this call counts as one with an effect.
    /// </summary>
    private async Task UnassignRemainingAsync(
        Node node,
        NetworkInterfaceId id,
        BlockShape shape,
        List<IPNetwork> wanted,
        CloudException rejection,
        CancellationToken cancellationToken
    )
    {
        try
        {
            var present = await DescribeBlocksAsync(node, id, cancellationToken);
            List<IPNetwork> rest = [.. wanted.Where(present.Contains)];
            // The description is late.
            if (rest.Count == wanted.Count)
                throw rejection;
            if (rest.Count > 0)
                await UnassignAsync(node, id, shape, rest, cancellationToken);
        }
        catch (CloudException e) when (e.Kind != CloudErrorKind.NotFound)
        {
            throw WithUnknownOutcome(e);
        }
    }

    private static CloudException WithUnknownOutcome(CloudException e) =>
        new(CloudErrorKind.Transient, e.Operation, e.Code, $"{e.Message}; some of the blocks may be unassigned", e.RequestId, e);

    private async Task<List<IPNetwork>> AssignIpv4Async(
        Node node,
        NetworkInterfaceId id,
        BlockRequest request,
        CancellationToken cancellationToken
    )
    {
        const string operation = "AssignPrivateIpAddresses";
        var assign = new AssignPrivateIpAddressesRequest
        {
            NetworkInterfaceId = id.Value,
            SecondaryPrivateIpAddressCount = request.Shape.IsSingle ? request.Count : null,
            Ipv4PrefixCount = !request.Shape.IsSingle ? request.Count : null,
        };
        var response = await _caller.CallAsync(
            operation,
            Idempotency.Unsafe,
            token => node.Ec2.AssignPrivateIpAddressesAsync(assign, token),
            cancellationToken
        );
        return
        [
            .. (response.AssignedPrivateIpAddresses ?? []).Select(address => InterfaceMapping.Single(address.PrivateIpAddress, operation)),
            .. (response.AssignedIpv4Prefixes ?? []).Select(prefix => InterfaceMapping.Prefix(prefix.Ipv4Prefix, operation)),
        ];
    }

    private async Task<List<IPNetwork>> AssignIpv6Async(
        Node node,
        NetworkInterfaceId id,
        BlockRequest request,
        CancellationToken cancellationToken
    )
    {
        const string operation = "AssignIpv6Addresses";
        var assign = new AssignIpv6AddressesRequest
        {
            NetworkInterfaceId = id.Value,
            Ipv6AddressCount = request.Shape.IsSingle ? request.Count : null,
            Ipv6PrefixCount = !request.Shape.IsSingle ? request.Count : null,
        };
        var response = await _caller.CallAsync(
            operation,
            Idempotency.Unsafe,
            token => node.Ec2.AssignIpv6AddressesAsync(assign, token),
            cancellationToken
        );
        return
        [
            .. (response.AssignedIpv6Addresses ?? []).Select(address => InterfaceMapping.Single(address, operation)),
            .. (response.AssignedIpv6Prefixes ?? []).Select(prefix => InterfaceMapping.Prefix(prefix, operation)),
        ];
    }

    private async Task UnassignAsync(
        Node node,
        NetworkInterfaceId id,
        BlockShape shape,
        List<IPNetwork> blocks,
        CancellationToken cancellationToken
    )
    {
        List<string> names = [.. blocks.Select(block => shape.IsSingle ? block.BaseAddress.ToString() : block.ToString())];
        if (shape.Family == IpFamily.V4)
        {
            var request = new UnassignPrivateIpAddressesRequest
            {
                NetworkInterfaceId = id.Value,
                PrivateIpAddresses = shape.IsSingle ? names : null,
                Ipv4Prefixes = !shape.IsSingle ? names : null,
            };
            await _caller.CallAsync(
                "UnassignPrivateIpAddresses",
                Idempotency.Unsafe,
                token => node.Ec2.UnassignPrivateIpAddressesAsync(request, token),
                cancellationToken
            );
        }
        else
        {
            var request = new UnassignIpv6AddressesRequest
            {
                NetworkInterfaceId = id.Value,
                Ipv6Addresses = shape.IsSingle ? names : null,
                Ipv6Prefixes = !shape.IsSingle ? names : null,
            };
            await _caller.CallAsync(
                "UnassignIpv6Addresses",
                Idempotency.Unsafe,
                token => node.Ec2.UnassignIpv6AddressesAsync(request, token),
                cancellationToken
            );
        }
    }

    private async Task<HashSet<IPNetwork>> DescribeBlocksAsync(Node node, NetworkInterfaceId id, CancellationToken cancellationToken)
    {
        var request = new DescribeNetworkInterfacesRequest { NetworkInterfaceIds = [id.Value] };
        var response = await _caller.CallAsync(
            DescribeOperation,
            Idempotency.Safe,
            token => node.Ec2.DescribeNetworkInterfacesAsync(request, token),
            cancellationToken
        );
        var described =
            response.NetworkInterfaces?.FirstOrDefault(eni => eni.NetworkInterfaceId == id.Value)
            ?? throw InterfaceMapping.Unreadable(DescribeOperation, $"the answer lacks the requested {id}");
        return [.. (await MapAsync(node, [described], DescribeOperation, cancellationToken))[0].Blocks];
    }
}
