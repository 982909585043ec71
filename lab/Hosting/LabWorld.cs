// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Options;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Connects the EC2 model, with one VPC, to a fabric: applies the model's events to the fabric in order, and completes pending transitions
/// of the model when they are due. Every member takes the world's gate.
/// </summary>
internal sealed partial class LabWorld : IDisposable
{
    /// <summary>Operation name that matches every operation.</summary>
    private const string AllOperations = "*";

    /// <summary>Tag with the node's name, which the EC2 console shows.</summary>
    private const string NameTag = "Name";

    /// <summary>Security group of the nodes' primary ENIs.</summary>
    private const string NodesGroup = "default";

    /// <summary>Security group for pods, to name in an ENIConfig.</summary>
    private const string PodsGroup = "pods";

    private readonly VpcWorld _world;
    private readonly IVpcFabric _fabric;
    private readonly IDisposable _subscription;
    private readonly TransitionTimer _timer;

    public LabWorld(VpcWorld world, IVpcFabric fabric, TimeProvider time, ILogger logger)
    {
        _world = world;
        _fabric = fabric;
        lock (world.Gate)
            _subscription = world.Subscribe(OnEvent);
        _timer = new TransitionTimer(world, time, error => LogTransitionFailed(logger, error));
    }

    public VpcWorld Model => _world;

    /// <summary>
    /// Creates the VPC, its subnets and security groups. The nodes' subnets are spread round robin over six zones. The pods' subnets are in
    /// the zones of the nodes' subnets, and come with a second security group.
    /// </summary>
    /// <param name="ipv6Range">The VPC's IPv6 range; null for none.</param>
    /// <param name="ipv6Subnets">
    /// IPv6 ranges of the nodes' and then the pods' subnets; empty for none. Such a subnet gives new ENIs an IPv6 address, as EKS requires.
    /// </param>
    /// <returns>The nodes' subnets.</returns>
    public IReadOnlyList<Subnet> Build(
        IPNetwork range,
        IReadOnlyList<IPNetwork> subnets,
        IReadOnlyList<IPNetwork> podSubnets,
        IPNetwork? ipv6Range = null,
        IReadOnlyList<IPNetwork>? ipv6Subnets = null
    )
    {
        const int zones = 6;
        string Zone(int index) => $"{_world.Options.Region}{(char)('a' + index % zones)}";
        lock (_world.Gate)
        {
            var vpc = _world.CreateVpc(range, ipv6Range);
            Subnet Create(string zone, IPNetwork ipv4, int index) =>
                ipv6Subnets is { Count: > 0 }
                    ? _world.CreateSubnet(vpc.Id, zone, ipv4, ipv6Subnets[index], assignIpv6AddressOnCreation: true)
                    : _world.CreateSubnet(vpc.Id, zone, ipv4);
            _world.CreateSecurityGroup(vpc.Id, NodesGroup, "default VPC security group");
            if (podSubnets.Count > 0)
                _world.CreateSecurityGroup(vpc.Id, PodsGroup, "for ENIConfigs");
            IReadOnlyList<Subnet> built = [.. subnets.Select((subnet, index) => Create(Zone(index), subnet, index))];
            foreach (var (index, subnet) in podSubnets.Index())
            {
                if (!range.Contains(subnet.BaseAddress))
                    _world.AddRange(vpc.Id, subnet);
                Create(Zone(index % subnets.Count), subnet, subnets.Count + index);
            }

            return built;
        }
    }

    /// <summary>Launches the instance of a node. Before it returns, the fabric's desired state includes the primary ENI.</summary>
    public Instance Launch(string node, string instanceType, SubnetId subnet, int primaryDeviceIndex = 0, bool sourceDestCheck = true)
    {
        lock (_world.Gate)
        {
            return _world.LaunchInstance(
                new LaunchRequest
                {
                    InstanceType = instanceType,
                    Subnet = subnet,
                    PrimaryDeviceIndex = primaryDeviceIndex,
                    SourceDestCheck = sourceDestCheck,
                    Groups = [.. _world.SecurityGroups.Where(group => group.Name == NodesGroup).Select(group => group.Id)],
                    Tags = new Dictionary<string, string> { [NameTag] = node },
                }
            );
        }
    }

    /// <summary>Reads or changes the world under its gate.</summary>
    public T With<T>(Func<VpcWorld, T> body)
    {
        lock (_world.Gate)
            return body(_world);
    }

    public void Inject(FaultSpec fault)
    {
        RequireOperation(fault.Operation);
        if (fault.Code.Length == 0)
            throw new LabException("a fault needs an error code");
        if (!fault.AnyCode && !Ec2ErrorCodes.All.Contains(fault.Code))
        {
            var near = Suggestion(fault.Code, Ec2ErrorCodes.All);
            throw new LabException($"EC2 documents no error code '{fault.Code}'{near}. To use it anyway, add --any-code");
        }

        var rule = new FaultRule
        {
            Operation = fault.Operation,
            Code = fault.Code,
            Message = fault.Message ?? $"{fault.Code}, injected by vpc-lab",
            Status = Ec2ErrorCodes.StatusOf(fault.Code),
            Times = fault.Times,
            Moment = fault.AfterEffect ? FaultMoment.AfterEffect : FaultMoment.BeforeEffect,
        };
        try
        {
            lock (_world.Gate)
                _world.Faults.Add(rule);
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            throw new LabException(error.Message, error);
        }
    }

    public void ClearFaults(string? operation)
    {
        if (operation is not null)
            RequireOperation(operation);
        lock (_world.Gate)
            _world.Faults.Clear(operation);
    }

    /// <summary>Limits the IPv6 ranges of subnets to a number of /80s, so that they can be exhausted.</summary>
    /// <exception cref="LabException">There is no such subnet, it has no IPv6 range, or the number is out of range.</exception>
    public void LimitIpv6Ranges(Ipv6RangeSpec limit)
    {
        lock (_world.Gate)
        {
            try
            {
                Subnet[] subnets = limit.SubnetId is { } id
                    ? [_world.FindSubnet(new SubnetId(id)) ?? throw Ec2Faults.NoSuchSubnet(id)]
                    : [.. _world.Subnets.Where(subnet => subnet.Ipv6Range is not null)];
                if (subnets.Length == 0)
                    throw new LabException("the lab has no subnet with an IPv6 range; start it with --family ipv6 or dual");
                foreach (var subnet in subnets)
                    _world.LimitIpv6Range(subnet.Id, limit.Prefixes);
            }
            catch (ArgumentOutOfRangeException error)
            {
                throw new LabException($"{limit.Prefixes} prefixes: expected 0 to {VpcWorld.MaxIpv6Prefixes}", error);
            }
            catch (Ec2FaultException error)
            {
                throw new LabException(error.Message, error);
            }
        }
    }

    public void SetTiming(TimingSpec timing)
    {
        lock (_world.Gate)
        {
            try
            {
                if (timing.AttachMilliseconds is { } attach)
                    _world.Timing.AttachLatency = Duration(attach);
                if (timing.DetachMilliseconds is { } detach)
                    _world.Timing.DetachLatency = Duration(detach);
                if (timing.DescribeLagMilliseconds is { } describe)
                    _world.Timing.DescribeLag = Duration(describe);
                if (timing.MetadataLagMilliseconds is { } metadata)
                    _world.Timing.MetadataLag = Duration(metadata);
                if (timing.RatePerSecond is { } rate)
                    _world.Throttle.SetLimits(rate == 0 ? null : Throttle.Uniform(rate));
            }
            catch (ArgumentException error)
            {
                throw new LabException(error.Message, error);
            }
        }
    }

    public void Dispose()
    {
        _timer.Dispose();
        lock (_world.Gate)
            _subscription.Dispose();
    }

    internal static TimeSpan Duration(double milliseconds) =>
        milliseconds is >= 0 and <= 600_000
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new LabException($"{milliseconds} ms: expected 0 to 600000");

    private static void RequireOperation(string operation)
    {
        if (operation == AllOperations || Ec2Operations.All.ContainsKey(operation))
            return;
        var names = Ec2Operations.All.Keys.Order(StringComparer.Ordinal);
        throw new LabException(
            $"the lab's EC2 API has no operation '{operation}'{Suggestion(operation, names)}; "
                + $"expected {AllOperations} for all, or one of {string.Join(", ", names)}"
        );
    }

    /// <summary>Suggests the nearest name within an edit distance of a third of the name's length.</summary>
    private static string Suggestion(string name, IEnumerable<string> names) =>
        Spelling.Near(name, names, name.Length / 3).FirstOrDefault() is { } near ? $", did you mean {near}?" : "";

    /// <summary>Caller holds the gate.</summary>
    private void OnEvent(VpcEvent @event)
    {
        switch (@event)
        {
            case VpcEvent.InterfaceAttached attached:
                var eni =
                    _world.FindInterface(attached.Interface)
                    ?? throw new InvalidOperationException($"{attached.Interface} was attached but does not exist");
                _fabric.Attach(
                    new FabricInterface
                    {
                        InterfaceId = attached.Interface.Value,
                        Node = _world.FindInstance(attached.Instance)!.Tags[NameTag],
                        DeviceIndex = attached.DeviceIndex,
                        NetworkCard = attached.NetworkCard,
                        Mac = MacAddress.Parse(attached.Mac),
                        Subnet = _world.FindSubnet(attached.Subnet)!.Ipv4Range,
                        Ipv6Subnet = _world.FindSubnet(attached.Subnet)!.Ipv6Range,
                        PrimaryAddress = attached.PrimaryAddress,
                        Addresses = eni.AllRanges,
                        IsPrimary = attached.IsPrimary,
                        MayForward = !eni.SourceDestCheck,
                    }
                );
                break;
            case VpcEvent.InterfaceDetached detached:
                _fabric.Detach(detached.Interface.Value);
                break;
            case VpcEvent.AddressesChanged changed:
                _fabric.SetAddresses(changed.Interface.Value, changed.Ranges);
                break;
            case VpcEvent.SourceDestCheckChanged changed:
                _fabric.SetForwarding(changed.Interface.Value, mayForward: !changed.Enabled);
                break;
            case VpcEvent.RoutesChanged:
                _fabric.SetRoutes(Routes());
                break;
            case VpcEvent.RangesChanged changed:
                _fabric.SetRanges(changed.Ranges);
                break;
            default:
                break; // a launch or termination also raises events for the attachments of its ENIs
        }
    }

    /// <summary>The routes of every subnet, from the table that applies to it. Caller holds the gate.</summary>
    private IReadOnlyList<FabricRoute> Routes() =>
        [
            .. _world.Subnets.SelectMany(subnet =>
                _world
                    .RouteTableOf(subnet.Id)
                    .Routes.Where(route => !FabricAddresses.IsIpv6(route.Destination) || subnet.Ipv6Range is not null)
                    .Select(route => new FabricRoute(
                        FabricAddresses.IsIpv6(route.Destination) ? subnet.Ipv6Range : subnet.Ipv4Range,
                        route.Destination,
                        route.Interface.Value
                    ))
            ),
        ];

    [LoggerMessage(Level = LogLevel.Error, Message = "Failed to apply pending transitions of the VPC")]
    private static partial void LogTransitionFailed(ILogger logger, Exception error);
}
