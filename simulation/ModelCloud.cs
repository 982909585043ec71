// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Netlink;
using Model = VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation;

/// <summary>The phases of a call of the model's cloud.</summary>
internal enum CallPhase
{
    /// <summary>The daemon is about to send the request. When the daemon ends here, nothing was requested.</summary>
    Leaving,

    /// <summary>The cloud has executed or rejected the request. When the daemon ends here, the outcome is unknown.</summary>
    Executed,

    /// <summary>The daemon is about to receive the answer.</summary>
    Answered,
}

/// <summary>
/// The cloud port of one daemon on the model of EC2, in virtual time, with the filters, tags, client tokens and kinds of error of
/// <see cref="Ec2"/>. A request that was sent takes effect even when the daemon cancels it or ends meanwhile. Idempotent calls are not
/// retried after a lost answer, so that the pool handles each loss.
/// </summary>
internal sealed partial class ModelCloud : IEc2
{
    private const string Describe = "DescribeNetworkInterfaces";

    private static readonly Dictionary<string, string> NoTags = [];

    private readonly Model.VpcWorld _world;
    private readonly Model.InstanceId _instance;
    private readonly DaemonRun _run;
    private readonly Random _random;
    private readonly EniTags _tags;
    private readonly AwsCloudOptions _options;

    public ModelCloud(Model.VpcWorld world, Model.InstanceId instance, DaemonRun run, Random random, AwsCloudOptions options)
    {
        (_world, _instance, _run, _random, _options) = (world, instance, run, random, options);
        _tags = new EniTags(instance.Value, options.ClusterName, options.AdditionalTags);
    }

    /// <summary>Latency of control-plane calls. May be changed at any time.</summary>
    public required CallLatency Latency { get; set; }

    /// <summary>Latency of reads of the instance metadata.</summary>
    public CallLatency MetadataLatency { get; set; } = CallLatency.Constant(TimeSpan.FromMilliseconds(2));

    /// <summary>Called at every phase of every call; may kill the run.</summary>
    public Action<string, CallPhase>? OnPhase { get; init; }

    public Task<NodeIdentity> IdentifyNodeAsync(CancellationToken cancellationToken) =>
        ReadAsync(
            "identity",
            metadata =>
            {
                var primary = metadata.Primary ?? throw NoMetadata("network/interfaces/macs");
                return new NodeIdentity
                {
                    NodeId = metadata.Instance.Id.Value,
                    NodeType = metadata.Instance.Type.Name,
                    Region = _world.Options.Region,
                    Zone = metadata.Instance.Zone,
                    NetworkId = metadata.Vpc.Id.Value,
                    PrimaryAddress = primary.PrimaryAddress,
                    Ipv6Address = primary.PrimaryIpv6Address,
                    PrimaryMac = primary.Mac,
                    PrimaryInterface = new NetworkInterfaceId(primary.Id.Value),
                    PrimarySubnetId = primary.Subnet.Value,
                };
            },
            cancellationToken
        );

    public Task<IReadOnlyList<IPNetwork>> DescribeNetworkRangesAsync(CancellationToken cancellationToken) =>
        ReadAsync<IReadOnlyList<IPNetwork>>(
            "ranges",
            metadata => [.. metadata.Vpc.Ipv4Ranges, .. metadata.Vpc.Ipv6Ranges],
            cancellationToken
        );

    public Task<IReadOnlyList<InterfaceHint>> HintAttachedInterfacesAsync(CancellationToken cancellationToken) =>
        ReadAsync<IReadOnlyList<InterfaceHint>>(
            "interfaces",
            metadata =>
                [
                    .. metadata.Interfaces.Select(pair => new InterfaceHint(
                        new NetworkInterfaceId(pair.Interface.Id.Value),
                        Blocks(pair.Interface)
                    )),
                ],
            cancellationToken
        );

    public Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
        ReadAsync<IReadOnlyList<Ec2Interface>>(
            "interfaces",
            metadata =>
                [
                    .. metadata.Interfaces.Select(pair =>
                        ToCloudInterface(pair.Interface) with
                        {
                            Tags = NoTags,
                            AttachmentId = Ipamd.Clouds.Aws.Imds.InterfaceMetadata.UnknownAttachment,
                            Description = "",
                        }
                    ),
                ],
            cancellationToken
        );

    public Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken) =>
        ReadAsync<IReadOnlyList<string>>(
            "groups",
            metadata => [.. (metadata.Primary ?? throw NoMetadata("security-group-ids")).Groups.Select(group => group.Value)],
            cancellationToken
        );

    public NodeLimits? KnownLimits(string nodeType) => InstanceTypeTable.Find(nodeType)?.Limits;

    public Task<NodeLimits> DescribeLimitsAsync(string nodeType, CancellationToken cancellationToken) =>
        KnownLimits(nodeType) is { } known
            ? Task.FromResult(known)
            : CallAsync(
                "DescribeInstanceTypes",
                () =>
                {
                    var type = _world.DescribeInstanceTypes(new Model.Query { Ids = [nodeType] }).Items[0];
                    return Ec2Limits.Of(
                        type.NetworkCards[0].MaxInterfaces,
                        type.Ipv4PerInterface,
                        type.Ipv6PerInterface,
                        type.SupportsPrefixes
                    );
                },
                cancellationToken
            );

    public Task<IReadOnlyList<CloudSubnet>> DescribeSubnetsAsync(CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<CloudSubnet>>(
            "DescribeSubnets",
            () =>
            {
                var here = _world.FindInstance(_instance)!;
                var query = new Model.Query
                {
                    Filters = [new Model.Filter("vpc-id", here.Vpc.Value), new Model.Filter("availability-zone", here.Zone)],
                };
                return [.. _world.DescribeSubnets(query).Items.Select(ToCloudSubnet)];
            },
            cancellationToken
        );

    public Task<CloudSubnet?> FindSubnetAsync(string subnetId, CancellationToken cancellationToken) =>
        CallAsync<CloudSubnet?>(
            "DescribeSubnets",
            () =>
                _world
                    .DescribeSubnets(new Model.Query { Filters = [new Model.Filter("subnet-id", subnetId)] })
                    .Items.Select(ToCloudSubnet)
                    .FirstOrDefault(),
            cancellationToken
        );

    /// <summary>One control-plane call, which takes effect after half of its latency.</summary>
    private Task<T> CallAsync<T>(string operation, Func<T> effect, CancellationToken cancellationToken) =>
        TravelAsync(
            operation,
            () =>
            {
                try
                {
                    return effect();
                }
                catch (Model.Ec2FaultException fault)
                {
                    throw new CloudException(
                        Ec2ErrorCodes.Classify(fault.Code, fault.Message, fault.Status),
                        operation,
                        fault.Code,
                        fault.Message,
                        requestId: null,
                        fault
                    );
                }
            },
            Latency.Next(_random),
            cancellationToken
        );

    private Task<T> ReadAsync<T>(string what, Func<Model.InstanceMetadata, T> read, CancellationToken cancellationToken) =>
        TravelAsync(
            "metadata/" + what,
            () => read(_world.DescribeMetadata(_instance) ?? throw NoMetadata(what)),
            MetadataLatency.Next(_random),
            cancellationToken
        );

    private Task<T> TravelAsync<T>(string operation, Func<T> effect, TimeSpan latency, CancellationToken cancellationToken)
    {
        _run.CheckAlive();
        if (cancellationToken.IsCancellationRequested)
            return Task.FromCanceled<T>(cancellationToken);
        OnPhase?.Invoke(operation, CallPhase.Leaving);
        var answer = new TaskCompletionSource<T>();
        // The run was killed: its work is not continued.
        if (!_run.IsAlive)
            return answer.Task;
        var registration = cancellationToken.Register(() => answer.TrySetCanceled(cancellationToken));
        _run.Time.After(
            latency / 2,
            () =>
            {
                Action complete;
                try
                {
                    var result = effect();
                    complete = () => answer.TrySetResult(result);
                }
                catch (CloudException exception)
                {
                    complete = () => answer.TrySetException(exception);
                }

                if (!_run.IsAlive)
                    return;
                OnPhase?.Invoke(operation, CallPhase.Executed);
                var patience = _options.HttpTimeout - (latency / 2);
                if (latency > _options.HttpTimeout)
                    complete = () =>
                        answer.TrySetException(
                            new CloudException(CloudErrorKind.Transient, operation, Ec2ErrorCodes.NoAnswer, "no answer in time")
                        );
                Answer(latency > _options.HttpTimeout ? patience : latency / 2, complete);
            }
        );
        return answer.Task;

        void Answer(TimeSpan after, Action complete) =>
            _ = _run.CreateTimer(
                _ =>
                {
                    registration.Dispose();
                    OnPhase?.Invoke(operation, CallPhase.Answered);
                    if (_run.IsAlive)
                        complete();
                },
                null,
                after > TimeSpan.Zero ? after : TimeSpan.Zero,
                Timeout.InfiniteTimeSpan
            );
    }

    private static CloudSubnet ToCloudSubnet(Model.SubnetDescription item) =>
        new(
            item.Subnet.Id.Value,
            item.Subnet.Vpc.Value,
            item.Subnet.Zone,
            item.Subnet.Ipv4Range,
            item.AvailableAddresses,
            item.Subnet.Tags
        );

    private static CloudException NoMetadata(string what) =>
        new(CloudErrorKind.Transient, "metadata", "NotFound", $"the instance metadata lacks {what}");

    /// <summary>Without the addresses of the node itself.</summary>
    private static IReadOnlyList<IPNetwork> Blocks(Model.NetworkInterface eni) =>
        [
            .. eni.SecondaryAddresses.Select(IpRanges.Single),
            .. eni.Ipv4Prefixes,
            .. eni.Ipv6Addresses.Where(address => !address.Equals(eni.PrimaryIpv6Address)).Select(IpRanges.Single),
            .. eni.Ipv6Prefixes,
        ];
}
