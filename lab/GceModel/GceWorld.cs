// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.GceModel;

/// <summary>
/// Models Compute Engine for one project: networks, subnetworks, instances with one interface, alias ranges, routes and operations, with
/// GCE's limits, errors and delays. Pure: no I/O, no threads and no clock; every member that depends on time takes <c>now</c>, which must
/// not go back. The same calls at the same times with the same seed give the same world.
/// <para>
/// Not thread-safe: threads that share a world hold <see cref="Gate"/> around every use and never await under it. Errors are <see
/// cref="GceFaultException"/>s and leave the world unchanged.
/// </para>
/// </summary>
public sealed partial class GceWorld
{
    private readonly IdSource _ids;
    private readonly Dictionary<string, GceNetwork> _networks = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Region, string Name), SubnetworkEntry> _subnetworks = [];
    private readonly Dictionary<(string Zone, string Name), GceInstance> _instances = [];
    private readonly Dictionary<string, GceRoute> _routes = new(StringComparer.Ordinal);

    public GceWorld(GceWorldOptions? options = null)
    {
        Options = options ?? new GceWorldOptions();
        _ids = new IdSource(Options.Seed);
        Calls = new MethodCallLog(Options.CallLogCapacity);
    }

    public GceWorldOptions Options { get; }

    public GceTiming Timing { get; } = new();

    public RateLimit<GceCallKind> RateLimit { get; } = new();

    public MethodFaults Faults { get; } = new();

    public MethodCallLog Calls { get; }

    /// <summary>Lock for threads that share the world. The world itself never takes it.</summary>
    public Lock Gate { get; } = new();

    /// <summary>
    /// Called after instances, alias ranges or routes have changed, once for each change. It may read the world but not call its methods.
    /// </summary>
    public Action? NetworkChanged { get; set; }

    public IEnumerable<GceNetwork> Networks => _networks.Values;

    public IEnumerable<GceSubnetwork> Subnetworks => _subnetworks.Values.Select(entry => entry.Subnetwork);

    public IEnumerable<GceInstance> Instances => _instances.Values;

    public IEnumerable<GceRoute> Routes => _routes.Values;

    public GceInstance? FindInstance(string zone, string name) => _instances.GetValueOrDefault((zone, name));

    public GceSubnetwork? FindSubnetwork(string region, string name) => _subnetworks.GetValueOrDefault((region, name))?.Subnetwork;

    /// <summary>The subnetwork of an instance's interface.</summary>
    public GceSubnetwork SubnetworkOf(GceInstance instance) => _subnetworks[(instance.Region, instance.Interface.Subnetwork)].Subnetwork;

    /// <summary>The instance that owns an address, itself or in an alias range; null if none does.</summary>
    public GceInstance? FindOwner(IPAddress address) =>
        Instances.FirstOrDefault(instance => instance.Interface.AllRanges.Any(range => range.Contains(address)));

    /// <summary>Number of free addresses of a subnetwork's primary range (null) or a secondary range.</summary>
    public long FreeAddresses(string region, string subnetwork, string? rangeName) =>
        _subnetworks[(region, subnetwork)].Pools[rangeName ?? ""].Free;

    /// <summary>Name of a resource relative to the API's root: <c>projects/p/zones/z/instances/i</c>.</summary>
    public string Path(string relative) => $"projects/{Options.Project}/{relative}";

    /// <summary>
    /// Executes a method: completes due operations, limits the rate, injects faults and logs. <paramref name="body"/> must check everything
    /// before it changes anything.
    /// </summary>
    private T Call<T>(DateTimeOffset now, string project, string method, GceCallKind kind, Func<T> body)
    {
        Advance(now);
        var outcome = "internalError";
        try
        {
            if (!RateLimit.TryTake(kind, now))
                throw GceFaults.RateLimited();
            if (Faults.Next(method, failsOperation: false, afterEffect: false) is { } before)
                throw Fault(before);
            if (project != Options.Project)
                throw GceFaults.NotFound($"projects/{project}");
            var result = body();
            if (Faults.Next(method, failsOperation: false, afterEffect: true) is { } after)
                throw Fault(after);
            outcome = MethodCallLog.Success;
            return result;
        }
        catch (GceFaultException fault)
        {
            outcome = fault.Reason;
            throw;
        }
        finally
        {
            Calls.Add(now, method, outcome);
        }
    }

    private static GceFaultException Fault(MethodFault rule) =>
        new(GceErrorCodes.Reasons.GetValueOrDefault(rule.Code, HttpStatusCode.BadRequest), rule.Code, rule.Message);

    private sealed record SubnetworkEntry(GceSubnetwork Subnetwork, IReadOnlyDictionary<string, RangePool> Pools);
}
