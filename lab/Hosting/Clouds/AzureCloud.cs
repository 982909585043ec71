// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using VpcCni.Ipamd.Options;
using VpcCni.Lab.AzureApi;
using VpcCni.Lab.AzureImds;
using VpcCni.Lab.AzureModel;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.ModelParts;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Azure: its model with one virtual network, whose state it applies to the fabric after every change, Azure Resource Manager and the
/// instance metadata service. Every subnet has the same route table. The nodes are virtual machines, or those of a scale set.
/// </summary>
internal sealed partial class AzureCloud : ILabCloud
{
    /// <summary>Name of the virtual network.</summary>
    public const string Network = "lab";

    /// <summary>Name of the route table of all subnets.</summary>
    public const string RouteTable = "nodes";

    /// <summary>What precedes the code of a fault that fails the operation instead of the call.</summary>
    public const string OperationPrefix = "operation:";

    /// <summary>MTU of an interface of a virtual machine, in octets.</summary>
    private const int Mtu = 1500;

    private readonly LabOptions _options;
    private readonly IVpcFabric _fabric;
    private readonly TimeProvider _time;
    private readonly DueTimer _timer;
    private readonly ArmServer _api;
    private readonly AzureImdsServer _metadata;
    private readonly HashSet<string> _attached = [];
    private readonly List<string> _names = [];

    public AzureCloud(LabOptions options, IVpcFabric fabric, TimeProvider time, ILogger logger)
    {
        (_options, _fabric, _time) = (options, fabric, time);
        World = new AzureWorld(new AzureWorldOptions { Seed = (ulong)RandomNumberGenerator.GetInt32(int.MaxValue) })
        {
            NetworkChanged = ApplyNetwork,
        };
        World.Timing.Operation = options.OperationLatency;
        World.RateLimit.Set(options.Ec2Rate);
        _timer = new DueTimer(World.Gate, () => World.NextTransitionAt, World.Advance, time, error => LogAdvanceFailed(logger, error));
        World.TransitionScheduled = _timer.Set;
        var tokens = AzureTokens.Create(time, new Random(RandomNumberGenerator.GetInt32(int.MaxValue)));
        _api = new ArmServer(World, tokens, time, new ArmOptions { Latency = options.Ec2Latency });
        _metadata = new AzureImdsServer(World, tokens, time, MachineOf);
    }

    public AzureWorld World { get; }

    public RequestDelegate Api => _api.HandleAsync;

    public RequestDelegate Metadata => _metadata.HandleAsync;

    public bool IsMetadata(PathString path) => path.StartsWithSegments(AzureImdsServer.PathPrefix, StringComparison.Ordinal);

    /// <summary>Name of the subnet of an index in <see cref="LabOptions.EffectiveSubnets"/>.</summary>
    public static string SubnetName(int index) => index == 0 ? "nodes" : $"nodes-{index + 1}";

    public void Build()
    {
        lock (World.Gate)
        {
            var now = _time.GetUtcNow();
            World.CreateNetwork(now, Network, _options.VpcRange);
            var table = World.CreateRouteTable(now, RouteTable);
            foreach (var (index, range) in _options.EffectiveSubnets.Index())
                World.CreateSubnet(now, Network, SubnetName(index), range, table.Id);
        }
    }

    public LabMachine Launch(string node, int subnet)
    {
        lock (World.Gate)
        {
            try
            {
                var machine = World.LaunchMachine(
                    _time.GetUtcNow(),
                    new AzureLaunchRequest
                    {
                        ComputerName = node,
                        Subnet = World.SubnetId(Network, SubnetName(subnet)),
                        Size = _options.InstanceType,
                        Zone = $"{subnet % 3 + 1}",
                        MayForward = _options.MayForward,
                        ScaleSet = _options.ScaleSet,
                    }
                );
                _names.Add(node);
                var nic = World.InterfaceOf(machine);
                var cpus =
                    MachineTypes.AzureCpus(machine.Size)
                    ?? throw new LabException($"--instance-type {machine.Size}: not a size of Azure that the lab has");
                return new LabMachine
                {
                    Id = machine.Id,
                    Type = machine.Size,
                    Zone = $"{World.Options.Location}-{machine.Zone}",
                    Region = World.Options.Location,
                    ProviderId = $"azure://{machine.Id}",
                    Vcpus = cpus,
                    MemoryMebibytes = MachineTypes.MemoryMebibytes(cpus),
                    Subnet = World.FindSubnet(nic.Primary.Subnet)!.Range,
                    Address = nic.Primary.Range.BaseAddress,
                    MaxPods = _options.MaxPods ?? LabOptions.AksMaxPods,
                };
            }
            catch (AzureFaultException fault)
            {
                throw new LabException($"cannot launch {node}: {fault.Message}", fault);
            }
        }
    }

    public void Inject(FaultSpec fault)
    {
        RequireMethod(fault.Operation);
        var failsOperation = fault.Code.StartsWith(OperationPrefix, StringComparison.Ordinal);
        var code = failsOperation ? fault.Code[OperationPrefix.Length..] : fault.Code;
        if (code.Length == 0)
            throw new LabException("a fault needs an error code");
        if (!fault.AnyCode && !AzureErrorCodes.All.ContainsKey(code))
            throw new LabException(
                $"Azure has no error code '{code}'{Suggestion(code, AzureErrorCodes.All.Keys)}. To use it anyway, add --any-code"
            );
        try
        {
            lock (World.Gate)
            {
                World.Faults.Add(
                    new MethodFault
                    {
                        Method = fault.Operation,
                        Code = code,
                        Message = fault.Message ?? $"{code}, injected by vpc-lab",
                        Times = fault.Times,
                        AfterEffect = fault.AfterEffect,
                        FailsOperation = failsOperation,
                    }
                );
            }
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
            throw new LabException("--attach, --detach-latency and --describe-lag are settings of AWS; on Azure use --operation");
        lock (World.Gate)
        {
            if (timing.OperationMilliseconds is { } operation)
                World.Timing.Operation = LabWorld.Duration(operation);
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
                    .. World.Subnets.Select(subnet => new SubnetStatus(
                        subnet.Name,
                        World.Options.Location,
                        subnet.Range.ToString(),
                        (int)World.FreeAddresses(subnet.Id)
                    )),
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
                        Code = (rule.FailsOperation ? OperationPrefix : "") + rule.Code,
                        Message = rule.Message,
                        Times = rule.Times,
                        AfterEffect = rule.AfterEffect,
                    }),
                ],
                Interfaces = World.Machines.ToDictionary(
                    machine => machine.Id,
                    machine => (IReadOnlyList<ReportedInterface>)[Describe(World.InterfaceOf(machine))]
                ),
            };
        }
    }

    public IEnumerable<string> ClientHints(IPEndPoint listen) =>
        [
            $"For clients of Azure Resource Manager: endpoint http://{listen} subscription {World.Options.Subscription} resource group "
                + $"{World.Options.ResourceGroup} token {AzureTokens.LongLived}, metadata http://{listen}{AzureImdsServer.PathPrefix}/",
        ];

    public void Dispose()
    {
        lock (World.Gate)
            World.TransitionScheduled = null;
        _timer.Dispose();
    }

    /// <summary>Applies machines, what their interfaces own and the routes of the subnets to the fabric. Caller holds the gate.</summary>
    private void ApplyNetwork()
    {
        HashSet<string> current = [];
        foreach (var machine in World.Machines)
        {
            var nic = World.InterfaceOf(machine);
            current.Add(FabricId(nic));
            _fabric.Attach(
                new FabricInterface
                {
                    InterfaceId = FabricId(nic),
                    Node = machine.ComputerName,
                    DeviceIndex = 0,
                    Mac = Mac(nic),
                    Subnet = World.FindSubnet(nic.Primary.Subnet)!.Range,
                    PrimaryAddress = nic.AppliedRanges[0].BaseAddress,
                    Addresses = nic.AppliedRanges,
                    MayForward = nic.AppliedMayForward,
                    Mtu = Mtu,
                }
            );
        }

        foreach (var gone in _attached.Except(current).ToArray())
            _fabric.Detach(gone);
        _attached.Clear();
        _attached.UnionWith(current);
        _fabric.SetRoutes([.. World.Subnets.SelectMany(Routes)]);
    }

    /// <summary>The routes of a subnet that send packets to an appliance or drop them; the fabric has the others by itself.</summary>
    private IEnumerable<FabricRoute> Routes(AzureSubnet subnet) =>
        World
            .RouteTables.Where(table => ArmId.Comparer.Equals(table.Id, subnet.RouteTable))
            .SelectMany(table => table.Routes)
            .Where(route => route.NextHop is AzureNextHop.VirtualAppliance or AzureNextHop.None)
            .Select(route => new FabricRoute(
                subnet.Range,
                route.Destination,
                World.NextHopOf(route) is { } appliance ? FabricId(appliance) : null
            ));

    private static ReportedInterface Describe(AzureInterface nic) =>
        new(
            FabricId(nic),
            new EniStatus
            {
                Id = nic.Name,
                DeviceIndex = 0,
                Link = FabricNames.NodeLink(0, 0),
                Mac = Mac(nic).ToString(),
                AttachmentState = nic.State.ToString().ToLowerInvariant(),
                PrimaryAddress = $"{nic.Primary.Range.BaseAddress}",
                SubnetId = ArmId.NameOf(nic.Primary.Subnet),
                SecondaryAddresses =
                [
                    .. nic.AppliedRanges.Skip(1).Where(range => range.PrefixLength == 32).Select(range => $"{range.BaseAddress}"),
                ],
                Prefixes = [.. nic.AppliedRanges.Where(range => range.PrefixLength < 32).Select(range => range.ToString())],
            },
            nic.AppliedRanges
        );

    private static MacAddress Mac(AzureInterface nic) => MacAddress.Parse(nic.Mac.Replace('-', ':'));

    private static string FabricId(AzureInterface nic) => $"azure-{nic.ResourceGuid:N}";

    private static void RequireMethod(string method)
    {
        if (method == MethodFault.AllMethods || ArmServer.Methods.Contains(method))
            return;
        throw new LabException(
            $"the lab's Azure Resource Manager has no method '{method}'{Suggestion(method, ArmServer.Methods)}; "
                + $"expected {MethodFault.AllMethods} for all, or one of {string.Join(", ", ArmServer.Methods)}"
        );
    }

    private static string Suggestion(string name, IEnumerable<string> names) =>
        Spelling.Near(name, names, name.Length / 3).FirstOrDefault() is { } near ? $", did you mean {near}?" : "";

    /// <summary>The machine that owns the remote address, or that of the node that a request on the loopback endpoint names.</summary>
    private string? MachineOf(HttpContext context)
    {
        if (context.Connection.RemoteIpAddress is not { } remote)
            return null;
        var machine = IPAddress.IsLoopback(remote)
            ? World.Machines.FirstOrDefault(machine => machine.ComputerName == LabServices.NodeOf(context, _names))
            : World.FindOwner(remote);
        return machine?.Id;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Failed to complete operations of Azure")]
    private static partial void LogAdvanceFailed(ILogger logger, Exception error);
}
