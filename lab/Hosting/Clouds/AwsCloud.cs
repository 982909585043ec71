// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Imds;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Hosting;

/// <summary>AWS: the model of EC2 with one VPC, the EC2 API and the instance metadata service.</summary>
internal sealed class AwsCloud : ILabCloud
{
    private readonly LabOptions _options;
    private readonly Ec2ApiServer _api;
    private readonly ImdsServer _metadata;
    private readonly Dictionary<string, InstanceId> _instances = [];
    private readonly List<string> _names = [];
    private IReadOnlyList<Subnet> _subnets = [];

    public AwsCloud(LabOptions options, IVpcFabric fabric, TimeProvider time, ILogger logger)
    {
        _options = options;
        World = new LabWorld(new VpcWorld(time, NewRandom()), fabric, time, logger);
        World.SetTiming(
            new TimingSpec
            {
                AttachMilliseconds = options.AttachLatency.TotalMilliseconds,
                DetachMilliseconds = options.AttachLatency.TotalMilliseconds,
                RatePerSecond = options.Ec2Rate,
            }
        );
        var credentials = new CredentialStore(time, NewRandom());
        _api = new Ec2ApiServer(World.Model, credentials, time, NewRandom(), new Ec2ApiOptions { Latency = options.Ec2Latency });
        _metadata = new ImdsServer(World.Model, credentials, time, NewRandom(), InstanceOf);
    }

    public LabWorld World { get; }

    public RequestDelegate Api => _api.HandleAsync;

    public RequestDelegate Metadata => _metadata.HandleAsync;

    public bool IsMetadata(PathString path) => path.StartsWithSegments(ImdsServer.PathPrefix, StringComparison.Ordinal);

    public void Build() =>
        _subnets = World.Build(
            _options.VpcRange,
            _options.EffectiveSubnets,
            _options.PodSubnets,
            _options.EffectiveIpv6Range,
            _options.Ipv6Subnets
        );

    public LabMachine Launch(string node, int subnet)
    {
        try
        {
            var instance = World.Launch(
                node,
                _options.InstanceType,
                _subnets[subnet].Id,
                _options.PrimaryDeviceIndex,
                sourceDestCheck: !_options.MayForward
            );
            lock (World.Model.Gate)
            {
                _instances.Add(node, instance.Id);
                _names.Add(node);
                var primary = World.Model.FindInterface(instance.PrimaryInterface)!;
                return new LabMachine
                {
                    Id = instance.Id.Value,
                    Type = instance.Type.Name,
                    Zone = instance.Zone,
                    Region = instance.Zone[..^1],
                    ProviderId = $"aws:///{instance.Zone}/{instance.Id}",
                    Vcpus = instance.Type.Vcpus,
                    MemoryMebibytes = instance.Type.MemoryMib,
                    Subnet = _subnets[subnet].Ipv4Range,
                    Address = primary.PrimaryAddress,
                    Ipv6Address = primary.Ipv6Addresses.FirstOrDefault(),
                    MaxPods = _options.MaxPodsOf(instance.Type),
                    Ec2Instance = instance,
                };
            }
        }
        catch (Ec2FaultException fault)
        {
            throw new LabException($"cannot launch {node}: {fault.Message}", fault);
        }
    }

    public void Inject(FaultSpec fault) => World.Inject(fault);

    public void ClearFaults(string? operation) => World.ClearFaults(operation);

    public void SetTiming(TimingSpec timing)
    {
        if (timing.OperationMilliseconds is not null)
            throw new LabException("--operation: EC2 has no operations; use --attach and --detach-latency");
        World.SetTiming(timing);
    }

    public CloudReport Report() =>
        World.With(world => new CloudReport
        {
            Subnets =
            [
                .. world
                    .Subnets.OrderBy(subnet => subnet.Zone, StringComparer.Ordinal)
                    .Select(subnet => new SubnetStatus(
                        subnet.Id.Value,
                        subnet.Zone,
                        subnet.Ipv4Range.ToString(),
                        world.FreeAddresses(subnet.Id),
                        subnet.Ipv6Range?.ToString()
                    )),
            ],
            SecurityGroups = [.. world.SecurityGroups.Select(group => new SecurityGroupStatus(group.Id.Value, group.Name))],
            Calls =
            [
                .. world
                    .Calls.Counts.Select(pair => new CloudCallCount(pair.Key.Operation, pair.Key.Outcome, pair.Value))
                    .OrderBy(call => call.Operation, StringComparer.Ordinal)
                    .ThenBy(call => call.Outcome, StringComparer.Ordinal),
            ],
            Faults =
            [
                .. world.Faults.Rules.Select(rule => new FaultSpec
                {
                    Operation = rule.Operation,
                    Code = rule.Code,
                    Message = rule.Message,
                    Times = rule.Times,
                    AfterEffect = rule.Moment == FaultMoment.AfterEffect,
                }),
            ],
            Interfaces = world.Instances.ToDictionary(
                instance => instance.Id.Value,
                instance => (IReadOnlyList<ReportedInterface>)[.. world.InterfacesOf(instance.Id).Select(Describe)]
            ),
        });

    public IEnumerable<string> ClientHints(IPEndPoint listen) =>
        [
            $"For aws and boto3: AWS_ENDPOINT_URL=http://{listen} AWS_DEFAULT_REGION={World.Model.Options.Region} "
                + $"AWS_ACCESS_KEY_ID={CredentialStore.LongLived.AccessKeyId} "
                + $"AWS_SECRET_ACCESS_KEY={CredentialStore.LongLived.SecretAccessKey}",
        ];

    public void Dispose() => World.Dispose();

    private static ReportedInterface Describe(NetworkInterface eni) =>
        new(
            eni.Id.Value,
            new EniStatus
            {
                Id = eni.Id.Value,
                DeviceIndex = eni.Attachment!.DeviceIndex,
                Link = FabricNames.NodeLink(eni.Attachment.DeviceIndex, eni.Attachment.NetworkCard),
                Mac = eni.Mac,
                AttachmentState = EnumText.Of(eni.Attachment.Status),
                PrimaryAddress = eni.PrimaryAddress.ToString(),
                SubnetId = eni.Subnet.Value,
                SecurityGroups = [.. eni.Groups.Select(group => group.Value)],
                SecondaryAddresses = [.. eni.SecondaryAddresses.Select(address => address.ToString())],
                Prefixes = [.. eni.Ipv4Prefixes.Select(prefix => prefix.ToString())],
                Ipv6Addresses = [.. eni.Ipv6Addresses.Select(address => address.ToString())],
                Ipv6Prefixes = [.. eni.Ipv6Prefixes.Select(prefix => prefix.ToString())],
            },
            eni.AllRanges
        );

    private static Random NewRandom() => new(RandomNumberGenerator.GetInt32(int.MaxValue));

    /// <summary>The instance that owns the remote address: the address of a node, or of a pod, on one of the instance's ENIs.</summary>
    private InstanceId? InstanceOf(HttpContext context)
    {
        if (context.Connection.RemoteIpAddress is not { } remote)
            return null;
        lock (World.Model.Gate)
        {
            if (!IPAddress.IsLoopback(remote))
                return World.Model.FindOwner(remote)?.Attachment?.Instance;
            var node = LabServices.NodeOf(context, _names);
            return node is not null && _instances.TryGetValue(node, out var instance) ? instance : null;
        }
    }
}
