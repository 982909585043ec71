// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// EC2 by its API and the instance metadata. Logs nothing: outcomes are results, failures are <see cref="CloudException"/>s with EC2's code
/// and request id. Thread-safe, except that assign and unassign must not run concurrently on one interface (see <see
/// cref="UnassignBlocksAsync"/>). Reads the node's identity once from the instance metadata, which also names the region; everything else
/// comes from EC2.
/// </summary>
internal sealed partial class Ec2 : IEc2, IDisposable
{
    private readonly AwsCloudOptions _options;
    private readonly ImdsClient _imds;
    private readonly InstanceMetadata _metadata;
    private readonly InterfaceMetadata _interfaceMetadata;
    private readonly Ec2Caller _caller;
    private readonly SubnetRanges _subnets;
    private readonly SemaphoreSlim _nodeLock = new(1, 1);
    private Node? _node;

    /// <param name="options">See <see cref="AwsCloudOptions"/>; validated by the caller.</param>
    /// <param name="time">Clock for deadlines, pauses and token expiry.</param>
    /// <param name="random">Source of jitter.</param>
    /// <param name="onAttempt">Called after every attempt of every EC2 call and every metadata request, on the calling thread.</param>
    public Ec2(AwsCloudOptions options, TimeProvider time, Random random, Action<CloudAttempt> onAttempt)
    {
        _options = options;
        _imds = new ImdsClient(options.Metadata, time, random, onAttempt);
        _metadata = new InstanceMetadata(_imds, options.Metadata.RequiresIpv6);
        _interfaceMetadata = new InterfaceMetadata(_imds, time);
        _caller = new Ec2Caller(options, time, random, onAttempt);
        _subnets = new SubnetRanges(_caller, _interfaceMetadata);
    }

    public async Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken) =>
        (await GetNodeAsync(cancellationToken)).Identity;

    public async Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        return await _metadata.ReadNetworkRangesAsync(node.Identity.PrimaryMac, cancellationToken);
    }

    public async Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        await _interfaceMetadata.ReadHintsAsync((await GetNodeAsync(cancellationToken)).Identity, cancellationToken);

    public async Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        return await _interfaceMetadata.ReadAllAsync(node.Identity, cancellationToken);
    }

    public async Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken)
    {
        var node = await GetNodeAsync(cancellationToken);
        return await _metadata.ReadSecurityGroupsAsync(node.Identity.PrimaryMac, cancellationToken);
    }

    public NodeLimits? KnownLimits(string nodeType) => InstanceTypeTable.Find(nodeType)?.Limits;

    public async Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken)
    {
        const string operation = "DescribeInstanceTypes";
        if (KnownLimits(nodeType) is { } known)
            return known;
        var node = await GetNodeAsync(cancellationToken);
        var request = new DescribeInstanceTypesRequest { InstanceTypes = [nodeType] };
        var response = await _caller.CallAsync(
            operation,
            Idempotency.Safe,
            token => node.Ec2.DescribeInstanceTypesAsync(request, token),
            cancellationToken
        );
        var type =
            response.InstanceTypes?.FirstOrDefault(info => info.InstanceType?.Value == nodeType)
            ?? throw InterfaceMapping.Unreadable(operation, $"the answer lacks the requested {nodeType}");
        var network = type.NetworkInfo;
        var card = network?.NetworkCards?.FirstOrDefault(item => item.NetworkCardIndex == 0)?.MaximumNetworkInterfaces;
        return
            (card ?? network?.MaximumNetworkInterfaces) is > 0 and var interfaces
            && network?.Ipv4AddressesPerInterface is > 0 and var addresses
            ? Ec2Limits.Of(
                interfaces,
                addresses,
                network.Ipv6Supported == true ? network.Ipv6AddressesPerInterface ?? 0 : 0,
                hasPrefixes: type.Hypervisor == InstanceTypeHypervisor.Nitro || type.BareMetal == true
            )
            : throw InterfaceMapping.Unreadable(operation, $"the answer lacks the interface or address limit of {nodeType}");
    }

    public void Dispose()
    {
        _node?.Ec2.Dispose();
        _imds.Dispose();
        _nodeLock.Dispose();
    }

    private async ValueTask<Node> GetNodeAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _node) is { } known)
            return known;
        await _nodeLock.WaitAsync(cancellationToken);
        try
        {
            if (_node is { } read)
                return read;
            var identity = await _metadata.ReadIdentityAsync(cancellationToken);
            var profile = _options.Profile is { } name ? SharedProfile.Read(name) : null;
            var ec2 = Ec2ClientFactory.Create(_options, _options.Region ?? profile?.Region ?? identity.Region, profile);
            return _node = new Node(identity, ec2, new EniTags(identity.NodeId, _options.ClusterName, _options.AdditionalTags));
        }
        finally
        {
            _nodeLock.Release();
        }
    }

    private sealed record Node(NodeIdentity Identity, IAmazonEC2 Ec2, EniTags Tags);
}
