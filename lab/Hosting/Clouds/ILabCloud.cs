// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// A cloud of the lab: a model, which drives the fabric, and the services that show it over HTTP. Thread-safe.
/// </summary>
internal interface ILabCloud : IDisposable
{
    /// <summary>The cloud's API.</summary>
    RequestDelegate Api { get; }

    /// <summary>The instance metadata service.</summary>
    RequestDelegate Metadata { get; }

    /// <summary>Whether a path is one of the metadata service, on an endpoint that also serves the API.</summary>
    bool IsMetadata(PathString path);

    /// <summary>Creates the network and its subnets.</summary>
    void Build();

    /// <summary>Launches the instance of a node. Before it returns, the fabric's desired state includes its primary interface.</summary>
    /// <param name="node">The node's name.</param>
    /// <param name="subnet">The subnet's index in <see cref="LabOptions.EffectiveSubnets"/>.</param>
    /// <exception cref="LabException">The cloud cannot launch it.</exception>
    LabMachine Launch(string node, int subnet);

    /// <exception cref="LabException">The fault can never apply.</exception>
    void Inject(FaultSpec fault);

    /// <summary>Disarms the faults of an operation, or all of them.</summary>
    /// <exception cref="LabException">There is no such operation.</exception>
    void ClearFaults(string? operation);

    /// <exception cref="LabException">A setting is out of range, or the cloud does not have it.</exception>
    void SetTiming(TimingSpec timing);

    CloudReport Report();

    /// <summary>How clients outside the nodes reach the cloud on a loopback endpoint: lines for the user.</summary>
    IEnumerable<string> ClientHints(IPEndPoint listen);
}

/// <summary>What the status of a lab says of its cloud.</summary>
internal sealed record CloudReport
{
    public required IReadOnlyList<SubnetStatus> Subnets { get; init; }

    public IReadOnlyList<SecurityGroupStatus> SecurityGroups { get; init; } = [];

    public required IReadOnlyList<CloudCallCount> Calls { get; init; }

    public required IReadOnlyList<FaultSpec> Faults { get; init; }

    /// <summary>The interfaces of each instance, by the instance's id.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<ReportedInterface>> Interfaces { get; init; }
}

/// <summary>An interface of a <see cref="CloudReport"/>.</summary>
/// <param name="FabricId">The interface's id in the fabric, whose counters are by it.</param>
/// <param name="Status">Its status, except for pods and drops.</param>
/// <param name="Ranges">All that it owns.</param>
internal sealed record ReportedInterface(string FabricId, EniStatus Status, IReadOnlyList<IPNetwork> Ranges);
