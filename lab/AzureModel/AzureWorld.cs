// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.AzureModel;

/// <summary>
/// Models the network resources of one resource group of Azure: a virtual network, subnets, virtual machines (alone or of a scale set) with
/// one network interface, route tables and asynchronous operations, with Azure's limits, errors and delays. Pure: no I/O, no threads and no
/// clock; every member that depends on time takes <c>now</c>, which must not go back. The same calls at the same times with the same seed
/// give the same world.
/// <para>
/// Not thread-safe: threads that share a world hold <see cref="Gate"/> around every use and never await under it. Errors are
/// <see cref="AzureFaultException"/>s and leave the world unchanged.
/// </para>
/// </summary>
public sealed partial class AzureWorld
{
    /// <summary>Addresses at the start and the end of a subnet that Azure reserves.</summary>
    private const int ReservedFirst = 4;
    private const int ReservedLast = 1;

    private readonly SeededNumbers _numbers;
    private readonly Dictionary<string, AzureNetwork> _networks = new(ArmId.Comparer);
    private readonly Dictionary<string, (AzureSubnet Subnet, RangePool Pool)> _subnets = new(ArmId.Comparer);
    private readonly Dictionary<string, AzureMachine> _machines = new(ArmId.Comparer);
    private readonly Dictionary<string, AzureInterface> _interfaces = new(ArmId.Comparer);
    private readonly Dictionary<string, AzureRouteTable> _tables = new(ArmId.Comparer);

    public AzureWorld(AzureWorldOptions? options = null)
    {
        Options = options ?? new AzureWorldOptions();
        _numbers = new SeededNumbers(Options.Seed);
        Calls = new MethodCallLog(Options.CallLogCapacity);
    }

    public AzureWorldOptions Options { get; }

    public AzureTiming Timing { get; } = new();

    public RateLimit<AzureCallKind> RateLimit { get; } = new();

    public MethodFaults Faults { get; } = new();

    public MethodCallLog Calls { get; }

    /// <summary>Lock for threads that share the world. The world itself never takes it.</summary>
    public Lock Gate { get; } = new();

    /// <summary>
    /// Called after machines, applied configurations, forwarding or routes have changed, once for each change. It may read the world but
    /// not call its methods.
    /// </summary>
    public Action? NetworkChanged { get; set; }

    public IEnumerable<AzureSubnet> Subnets => _subnets.Values.Select(entry => entry.Subnet);

    public IEnumerable<AzureMachine> Machines => _machines.Values;

    public IEnumerable<AzureInterface> Interfaces => _interfaces.Values;

    public IEnumerable<AzureRouteTable> RouteTables => _tables.Values;

    public AzureMachine? FindMachine(string id) => _machines.GetValueOrDefault(id);

    public AzureInterface? FindInterface(string id) => _interfaces.GetValueOrDefault(id);

    public AzureSubnet? FindSubnet(string id) => _subnets.TryGetValue(id, out var entry) ? entry.Subnet : null;

    public AzureInterface InterfaceOf(AzureMachine machine) => _interfaces[machine.Interface];

    /// <summary>The machine whose interface owns an address; null if none does.</summary>
    public AzureMachine? FindOwner(IPAddress address) =>
        Interfaces.FirstOrDefault(nic => nic.AppliedRanges.Any(range => range.Contains(address))) is { } owner
            ? _machines[owner.Machine]
            : null;

    public long FreeAddresses(string subnet) => _subnets[subnet].Pool.Free;

    /// <summary>Id of a resource of the group by its provider, type and name.</summary>
    public string Id(string rest) => ArmId.InGroup(Options.Subscription, Options.ResourceGroup, rest);

    public string NetworkId(string name) => Id($"Microsoft.Network/virtualNetworks/{name}");

    public string SubnetId(string network, string name) => $"{NetworkId(network)}/subnets/{name}";

    public string RouteTableId(string name) => Id($"Microsoft.Network/routeTables/{name}");

    public string InterfaceId(string name) => Id($"Microsoft.Network/networkInterfaces/{name}");

    public string MachineId(string name) => Id($"Microsoft.Compute/virtualMachines/{name}");

    public string ScaleSetMachineId(string scaleSet, string number) =>
        Id($"Microsoft.Compute/virtualMachineScaleSets/{scaleSet}/virtualMachines/{number}");

    /// <summary>
    /// Executes a method: completes due operations, limits the rate, injects faults and logs. <paramref name="body"/> must check everything
    /// before it changes anything.
    /// </summary>
    private T Call<T>(DateTimeOffset now, string method, AzureCallKind kind, Func<T> body)
    {
        Advance(now);
        var outcome = "InternalServerError";
        try
        {
            if (!RateLimit.TryTake(kind, now))
                throw AzureFaults.TooManyRequests(Max(RateLimit.RetryAfter(kind), TimeSpan.FromSeconds(1)));
            if (Faults.Next(method, failsOperation: false, afterEffect: false) is { } before)
                throw Fault(before);
            var result = body();
            if (Faults.Next(method, failsOperation: false, afterEffect: true) is { } after)
                throw Fault(after);
            outcome = MethodCallLog.Success;
            return result;
        }
        catch (AzureFaultException fault)
        {
            outcome = fault.Code;
            throw;
        }
        finally
        {
            Calls.Add(now, method, outcome);
        }
    }

    private AzureFaultException Fault(MethodFault rule)
    {
        var status = AzureErrorCodes.All.GetValueOrDefault(rule.Code, HttpStatusCode.BadRequest);
        return new AzureFaultException(status, rule.Code, rule.Message)
        {
            RetryAfter = status is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable ? Timing.RetryAfter : null,
            Detail =
                rule.Code == "RetryableError"
                    ? new AzureError(
                        "ReferencedResourceNotProvisioned",
                        "Cannot proceed with operation because a resource that it uses is not in Succeeded state."
                    )
                    : null,
        };
    }

    /// <summary>A new ETag, as Azure writes it: weak, and a GUID in quotes.</summary>
    private string NextTag() => $"W/\"{_numbers.NextGuid()}\"";

    /// <summary>A new MAC address of Microsoft's (00-0D-3A).</summary>
    private string NextMac()
    {
        string mac;
        do
        {
            var number = _numbers.Next();
            mac = string.Create(
                CultureInfo.InvariantCulture,
                $"00-0D-3A-{(byte)number:X2}-{(byte)(number >> 8):X2}-{(byte)(number >> 16):X2}"
            );
        } while (Interfaces.Any(nic => nic.Mac == mac));
        return mac;
    }

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
