// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using VpcCni.Ipamd.Options;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.GceApi;
using VpcCni.Lab.GceMetadata;
using VpcCni.Lab.GceModel;
using VpcCni.Lab.ModelParts;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Compute Engine: its model with one network, whose state it applies to the fabric after every change, its API and its metadata server.
/// The subnets are subnetworks of one region, each with secondary ranges for pods.
/// </summary>
internal sealed partial class GceCloud : ILabCloud
{
    /// <summary>Name of the network.</summary>
    public const string Network = "lab";

    private const string Region = "us-central1";

    private readonly LabOptions _options;
    private readonly IVpcFabric _fabric;
    private readonly TimeProvider _time;
    private readonly DueTimer _timer;
    private readonly GceApiServer _api;
    private readonly GceMetadataServer _metadata;
    private readonly HashSet<string> _attached = [];
    private readonly List<string> _names = [];

    public GceCloud(LabOptions options, IVpcFabric fabric, TimeProvider time, ILogger logger)
    {
        (_options, _fabric, _time) = (options, fabric, time);
        World = new GceWorld(new GceWorldOptions { Seed = (ulong)RandomNumberGenerator.GetInt32(int.MaxValue) })
        {
            NetworkChanged = ApplyNetwork,
        };
        World.Timing.Running = options.OperationLatency;
        World.RateLimit.Set(options.Ec2Rate);
        _timer = new DueTimer(World.Gate, () => World.NextTransitionAt, World.Advance, time, error => LogAdvanceFailed(logger, error));
        World.TransitionScheduled = _timer.Set;
        var tokens = GceTokens.Create(time, new Random(RandomNumberGenerator.GetInt32(int.MaxValue)));
        _api = new GceApiServer(World, tokens, time, new GceApiOptions { Latency = options.Ec2Latency });
        _metadata = new GceMetadataServer(World, tokens, time, InstanceOf);
    }

    public GceWorld World { get; }

    public RequestDelegate Api => _api.HandleAsync;

    public RequestDelegate Metadata => _metadata.HandleAsync;

    public bool IsMetadata(PathString path) => path.StartsWithSegments(GceMetadataServer.PathPrefix, StringComparison.Ordinal);

    /// <summary>Name of the subnetwork of an index in <see cref="LabOptions.EffectiveSubnets"/>.</summary>
    public static string SubnetworkName(int index) => index == 0 ? "nodes" : $"nodes-{index + 1}";

    /// <summary>Name of a subnetwork's secondary range by its index: <c>pods</c>, <c>pods-2</c>, ...</summary>
    public static string RangeName(int index) => index == 0 ? "pods" : $"pods-{index + 1}";

    public void Build()
    {
        lock (World.Gate)
        {
            var now = _time.GetUtcNow();
            World.CreateNetwork(now, Network);
            var subnets = _options.EffectiveSubnets;
            foreach (var (index, range) in subnets.Index())
            {
                var secondary = _options
                    .PodRangesOf(index)
                    .Select((pods, number) => new GceSecondaryRange(RangeName(number), pods))
                    .ToArray();
                World.CreateSubnetwork(now, Network, Region, SubnetworkName(index), range, secondary);
            }
        }
    }

    public LabMachine Launch(string node, int subnet)
    {
        lock (World.Gate)
        {
            try
            {
                var instance = World.LaunchInstance(
                    _time.GetUtcNow(),
                    new GceLaunchRequest
                    {
                        Name = node,
                        Zone = $"{Region}-{(char)('a' + subnet % 6)}",
                        Subnetwork = SubnetworkName(subnet),
                        MachineType = _options.InstanceType,
                        CanIpForward = _options.MayForward,
                    }
                );
                _names.Add(node);
                var cpus =
                    MachineTypes.GceCpus(instance.MachineType)
                    ?? throw new LabException($"--instance-type {instance.MachineType}: not a standard type of GCE");
                return new LabMachine
                {
                    Id = Text(instance.Id),
                    Type = instance.MachineType,
                    Zone = instance.Zone,
                    Region = instance.Region,
                    ProviderId = $"gce://{World.Options.Project}/{instance.Zone}/{instance.Name}",
                    Vcpus = cpus,
                    MemoryMebibytes = MachineTypes.MemoryMebibytes(cpus),
                    Subnet = World.SubnetworkOf(instance).Range,
                    Address = instance.Interface.Address,
                    MaxPods = _options.MaxPods ?? LabOptions.GkeMaxPods,
                };
            }
            catch (GceFaultException fault)
            {
                throw new LabException($"cannot launch {node}: {fault.Message}", fault);
            }
        }
    }

    public void Inject(FaultSpec fault)
    {
        RequireMethod(fault.Operation);
        if (fault.Code.Length == 0)
            throw new LabException("a fault needs an error code");
        string[] known = [.. GceErrorCodes.Reasons.Keys, .. GceErrorCodes.OperationCodes];
        if (!fault.AnyCode && !known.Contains(fault.Code))
            throw new LabException(
                $"Compute Engine has neither the reason nor the operation's error code '{fault.Code}'"
                    + $"{Suggestion(fault.Code, known)}. To use it anyway, add --any-code"
            );
        var rule = new MethodFault
        {
            Method = fault.Operation,
            Code = fault.Code,
            Message = fault.Message ?? $"{fault.Code}, injected by vpc-lab",
            Times = fault.Times,
            AfterEffect = fault.AfterEffect,
            // Codes of operations are in capitals; reasons of calls are not.
            FailsOperation = char.IsAsciiLetterUpper(fault.Code[0]),
        };
        try
        {
            lock (World.Gate)
                World.Faults.Add(rule);
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            throw new LabException(error.Message, error);
        }
    }

    public void ClearFaults(string? operation)
    {
        if (operation is not null)
            RequireMethod(operation);
        lock (World.Gate)
            World.Faults.Clear(operation);
    }

    public void SetTiming(TimingSpec timing)
    {
        if (timing is { AttachMilliseconds: not null } or { DetachMilliseconds: not null } or { DescribeLagMilliseconds: not null })
            throw new LabException("--attach, --detach-latency and --describe-lag are settings of AWS; on GCE use --operation");
        lock (World.Gate)
        {
            if (timing.OperationMilliseconds is { } operation)
                World.Timing.Running = LabWorld.Duration(operation);
            if (timing.MetadataLagMilliseconds is { } lag)
                World.Timing.MetadataLag = LabWorld.Duration(lag);
            if (timing.RatePerSecond is { } rate)
            {
                if (!(rate >= 0))
                    throw new LabException($"--rate {rate}: expected 0 or more");
                World.RateLimit.Set(rate == 0 ? null : rate);
            }
        }
    }

    public CloudReport Report()
    {
        lock (World.Gate)
        {
            return new CloudReport
            {
                Subnets =
                [
                    .. World.Subnetworks.SelectMany(subnetwork =>
                        subnetwork
                            .SecondaryRanges.Select(range => (Name: (string?)range.Name, range.Range))
                            .Prepend((null, subnetwork.Range))
                            .Select(range => new SubnetStatus(
                                range.Name is { } name ? $"{subnetwork.Name}/{name}" : subnetwork.Name,
                                subnetwork.Region,
                                range.Range.ToString(),
                                (int)World.FreeAddresses(subnetwork.Region, subnetwork.Name, range.Name)
                            ))
                    ),
                ],
                Calls =
                [
                    .. World
                        .Calls.Counts.Select(pair => new CloudCallCount(pair.Key.Method, pair.Key.Outcome, pair.Value))
                        .OrderBy(call => call.Operation, StringComparer.Ordinal)
                        .ThenBy(call => call.Outcome, StringComparer.Ordinal),
                ],
                Faults =
                [
                    .. World.Faults.Rules.Select(rule => new FaultSpec
                    {
                        Operation = rule.Method,
                        Code = rule.Code,
                        Message = rule.Message,
                        Times = rule.Times,
                        AfterEffect = rule.AfterEffect,
                    }),
                ],
                Interfaces = World.Instances.ToDictionary(
                    instance => Text(instance.Id),
                    instance => (IReadOnlyList<ReportedInterface>)[Describe(instance)]
                ),
            };
        }
    }

    public IEnumerable<string> ClientHints(IPEndPoint listen) =>
        [
            $"For clients of Compute Engine: endpoint http://{listen}{GceApiServer.PathPrefix}/ project {World.Options.Project} "
                + $"token {GceTokens.LongLived} (gcloud: CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE, CLOUDSDK_AUTH_ACCESS_TOKEN), "
                + $"metadata GCE_METADATA_HOST={listen}",
        ];

    public void Dispose()
    {
        lock (World.Gate)
            World.TransitionScheduled = null;
        _timer.Dispose();
    }

    /// <summary>Applies instances, what they own and the routes to the fabric. Caller holds the gate.</summary>
    private void ApplyNetwork()
    {
        HashSet<string> current = [];
        foreach (var instance in World.Instances)
        {
            current.Add(FabricId(instance));
            _fabric.Attach(
                new FabricInterface
                {
                    InterfaceId = FabricId(instance),
                    Node = instance.Name,
                    DeviceIndex = 0,
                    Mac = MacAddress.Parse(instance.Interface.Mac),
                    Subnet = World.SubnetworkOf(instance).Range,
                    PrimaryAddress = instance.Interface.Address,
                    Addresses = instance.Interface.AllRanges,
                    MayForward = instance.CanIpForward,
                    ConfiguredPrefixLength = 32,
                    Mtu = GceJson.GceInterfaceMtu,
                }
            );
        }

        foreach (var gone in _attached.Except(current).ToArray())
            _fabric.Detach(gone);
        _attached.Clear();
        _attached.UnionWith(current);
        // Of several routes to a destination, that with the lowest priority counts.
        _fabric.SetRoutes([
            .. World
                .Routes.Where(route => !route.IsSubnetRoute && !route.IsInternet)
                .GroupBy(route => route.Destination)
                .Select(group => group.OrderBy(route => route.Priority).ThenBy(route => route.Name, StringComparer.Ordinal).First())
                .Select(route => new FabricRoute(
                    Subnet: null,
                    route.Destination,
                    World.NextHopOf(route) is { } hop ? FabricId(hop) : null
                )),
        ]);
    }

    private static ReportedInterface Describe(GceInstance instance)
    {
        var nic = instance.Interface;
        return new ReportedInterface(
            FabricId(instance),
            new EniStatus
            {
                Id = $"{instance.Name}/{GceInterface.FirstName}",
                DeviceIndex = 0,
                Link = FabricNames.NodeLink(0, 0),
                Mac = nic.Mac,
                AttachmentState = "attached",
                PrimaryAddress = nic.Address.ToString(),
                SubnetId = nic.Subnetwork,
                SecondaryAddresses =
                [
                    .. nic.AliasRanges.Where(alias => alias.Range.PrefixLength == 32).Select(alias => alias.Range.BaseAddress.ToString()),
                ],
                Prefixes = [.. nic.AliasRanges.Where(alias => alias.Range.PrefixLength < 32).Select(alias => alias.Range.ToString())],
            },
            nic.AllRanges
        );
    }

    private static string FabricId(GceInstance instance) => $"gce-{Text(instance.Id)}";

    private static string Text(ulong id) => id.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static void RequireMethod(string method)
    {
        if (method == MethodFault.AllMethods || GceApiServer.Methods.Contains(method))
            return;
        throw new LabException(
            $"the lab's Compute Engine API has no method '{method}'{Suggestion(method, GceApiServer.Methods)}; "
                + $"expected {MethodFault.AllMethods} for all, or one of {string.Join(", ", GceApiServer.Methods)}"
        );
    }

    private static string Suggestion(string name, IEnumerable<string> names) =>
        Spelling.Near(name, names, name.Length / 3).FirstOrDefault() is { } near ? $", did you mean {near}?" : "";

    /// <summary>The instance that owns the remote address, or that of the node that a request on the loopback endpoint names.</summary>
    private (string Zone, string Name)? InstanceOf(HttpContext context)
    {
        if (context.Connection.RemoteIpAddress is not { } remote)
            return null;
        var instance = IPAddress.IsLoopback(remote)
            ? World.Instances.FirstOrDefault(instance => instance.Name == LabServices.NodeOf(context, _names))
            : World.FindOwner(remote);
        return instance is null ? null : (instance.Zone, instance.Name);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Failed to complete operations of Compute Engine")]
    private static partial void LogAdvanceFailed(ILogger logger, Exception error);
}
