// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.AzureModel;

/// <summary>
/// Methods on network interfaces and machines (https://learn.microsoft.com/rest/api/virtualnetwork/network-interfaces,
/// https://learn.microsoft.com/rest/api/compute/virtual-machine-scale-set-vms).
/// </summary>
public sealed partial class AzureWorld
{
    /// <summary>Prefix length of the blocks that Azure assigns.</summary>
    public const int BlockPrefixLength = 28;

    /// <summary>Maximum number of versions of an interface, for metadata that lags.</summary>
    private const int MaxVersions = 256;

    private readonly Dictionary<string, List<(DateTimeOffset Since, AzureInterface Nic)>> _history = new(ArmId.Comparer);

    public AzureInterface GetInterface(DateTimeOffset now, string id) =>
        Call(
            now,
            IsOfScaleSet(id) ? "virtualMachineScaleSetNetworkInterfaces.get" : "networkInterfaces.get",
            AzureCallKind.Read,
            () => Existing(id)
        );

    /// <summary>The interfaces of machines that are of no scale set.</summary>
    public IReadOnlyList<AzureInterface> ListInterfaces(DateTimeOffset now) =>
        Call<IReadOnlyList<AzureInterface>>(
            now,
            "networkInterfaces.list",
            AzureCallKind.Read,
            () => [.. Interfaces.Where(nic => !IsOfScaleSet(nic.Id)).OrderBy(nic => nic.Id, StringComparer.Ordinal)]
        );

    /// <summary>The interfaces of a scale set, or of one of its machines.</summary>
    /// <param name="number">The machine's number; null for all.</param>
    public IReadOnlyList<AzureInterface> ListScaleSetInterfaces(DateTimeOffset now, string scaleSet, string? number) =>
        Call<IReadOnlyList<AzureInterface>>(
            now,
            "virtualMachineScaleSetNetworkInterfaces.list",
            AzureCallKind.Read,
            () =>
            {
                var machines = Machines
                    .Where(machine =>
                        string.Equals(machine.ScaleSet, scaleSet, StringComparison.OrdinalIgnoreCase)
                        && (number is null || machine.Name == number)
                    )
                    .ToArray();
                if (machines.Length == 0)
                    throw AzureFaults.NotFound("Microsoft.Compute/virtualMachineScaleSets", scaleSet, Options.ResourceGroup);
                return [.. machines.Select(InterfaceOf)];
            }
        );

    public AzureMachine GetMachine(DateTimeOffset now, string id) =>
        Call(
            now,
            IsOfScaleSet(id) ? "virtualMachineScaleSetVMs.get" : "virtualMachines.get",
            AzureCallKind.Read,
            () =>
                FindMachine(id) ?? throw AzureFaults.NotFound("Microsoft.Compute/virtualMachines", ArmId.NameOf(id), Options.ResourceGroup)
        );

    /// <summary>Replaces a network interface of a machine that is of no scale set.</summary>
    public AzureChange<AzureInterface> PutInterface(DateTimeOffset now, AzureInterfaceRequest request) =>
        Call(
            now,
            "networkInterfaces.createOrUpdate",
            AzureCallKind.Write,
            () =>
            {
                if (IsOfScaleSet(request.Id))
                    throw AzureFaults.NotAllowed(
                        "A network interface of a scale set is changed by a PUT of its virtual machine (networkProfileConfiguration)."
                    );
                if (FindInterface(request.Id) is null)
                    throw AzureFaults.NotAllowed("The lab creates network interfaces only with their virtual machines.");
                return Replace(now, request, "networkInterfaces.createOrUpdate");
            }
        );

    /// <summary>Replaces the network interface of a machine of a scale set, as a PUT of the machine does.</summary>
    public AzureChange<AzureInterface> PutScaleSetMachine(DateTimeOffset now, AzureInterfaceRequest request) =>
        Call(now, "virtualMachineScaleSetVMs.update", AzureCallKind.Write, () => Replace(now, request, "virtualMachineScaleSetVMs.update"));

    /// <summary>
    /// A machine's interface as the metadata service shows it, which lags behind; null if the machine does not exist.
    /// </summary>
    public AzureInterface? DescribeMetadata(DateTimeOffset now, string machine)
    {
        Advance(now);
        if (FindMachine(machine) is not { } existing)
            return null;
        var versions = _history[existing.Interface];
        return versions[Math.Max(0, versions.FindLastIndex(version => version.Since <= now - Timing.MetadataLag))].Nic;
    }

    /// <summary>
    /// Checks and takes everything at once, and shows the new configurations as <c>Updating</c>; they take effect, and what they replace
    /// becomes free, when the operation ends. If it fails, they stay, as <c>Failed</c>, without effect.
    /// </summary>
    private AzureChange<AzureInterface> Replace(DateTimeOffset now, AzureInterfaceRequest request, string method)
    {
        var nic = Existing(request.Id);
        RequireIdle(nic.Id);
        if (request.IfMatch is { } tag && tag != "*" && tag != nic.Tag)
            throw AzureFaults.StaleTag(tag, nic.Tag, nic.Id);
        var configurations = Take(nic, request.Configurations);
        var failure = Injected(method);
        var before = nic;
        nic = nic with
        {
            Configurations = configurations,
            MayForward = request.MayForward,
            Tags = request.Tags.ToImmutableSortedDictionary(StringComparer.Ordinal),
            State = AzureProvisioningState.Updating,
            Tag = NextTag(),
        };
        Put(now, nic);
        // What an earlier, failed PUT took and this one does not keep.
        Release(before.Configurations.ExceptBy(Held(nic), Key));
        var operation = Start(
            now,
            nic.Id,
            failure,
            (at, hasFailed) =>
            {
                if (FindInterface(nic.Id) is not { } current || current.ResourceGuid != nic.ResourceGuid)
                    return;
                if (hasFailed)
                {
                    Put(at, current with { State = AzureProvisioningState.Failed, Tag = NextTag() });
                    return;
                }

                var replaced = current.Applied;
                current = current with
                {
                    Applied = current.Configurations,
                    AppliedMayForward = current.MayForward,
                    State = AzureProvisioningState.Succeeded,
                    Tag = NextTag(),
                };
                Put(at, current);
                Release(replaced.ExceptBy(Held(current), Key));
                NetworkChanged?.Invoke();
            }
        );
        return new AzureChange<AzureInterface>(Existing(request.Id), operation);
    }

    /// <summary>Everything that an interface has taken: what it shows, and what is in effect.</summary>
    private static IEnumerable<(string Subnet, IPNetwork Range)> Held(AzureInterface nic) =>
        nic.Configurations.Concat(nic.Applied).Select(Key);

    private static (string Subnet, IPNetwork Range) Key(AzureIpConfiguration configuration) => (configuration.Subnet, configuration.Range);

    private void Release(IEnumerable<AzureIpConfiguration> configurations)
    {
        foreach (var configuration in configurations.ToArray())
            _subnets[configuration.Subnet].Pool.Release(configuration.Range);
    }

    /// <summary>Checks the configurations of a request, and takes the addresses that the interface does not have yet.</summary>
    private ImmutableArray<AzureIpConfiguration> Take(AzureInterface nic, IReadOnlyList<AzureIpConfigurationRequest> requested)
    {
        var subnet = Check(nic, requested);
        var pool = _subnets[subnet.Id].Pool;
        var held = Held(nic).ToHashSet();
        List<IPNetwork> taken = [];
        var result = new AzureIpConfiguration[requested.Count];
        try
        {
            // Chosen addresses first, so that Azure does not pick one of them for another configuration.
            foreach (var (index, request) in requested.Index().OrderBy(item => item.Item.Address is null ? 1 : 0))
            {
                var existing = nic.Configurations.FirstOrDefault(configuration =>
                    configuration.Name == request.Name && configuration.Range.PrefixLength == request.PrefixLength
                );
                var wanted = request.Address is { } address ? new IPNetwork(address, request.PrefixLength) : existing?.Range;
                if (wanted is { } range)
                {
                    if (!held.Contains((subnet.Id, range)))
                    {
                        if (!pool.TryTake(range))
                            throw Ipv4.Within(range, subnet.Range)
                                ? AzureFaults.AddressInUse(range, $"{nic.Id}/ipConfigurations/{request.Name}")
                                : AzureFaults.AddressOutside(range, subnet, $"{nic.Id}/ipConfigurations/{request.Name}");
                        taken.Add(range);
                    }
                }
                else
                {
                    range =
                        pool.TakeAny(request.PrefixLength)
                        ?? throw AzureFaults.SubnetFull(subnet, request.PrefixLength == BlockPrefixLength ? 16 : 1);
                    taken.Add(range);
                }

                result[index] = new AzureIpConfiguration
                {
                    Name = request.Name,
                    Range = range,
                    IsPrimary = request.IsPrimary,
                    IsStatic = request.IsStatic,
                    Subnet = subnet.Id,
                };
            }

            if (result.DistinctBy(configuration => configuration.Range).Count() != result.Length)
                throw AzureFaults.Bad("PrivateIPAddressInUse", $"IP configurations of {nic.Id} have the same address.");
            return [.. result];
        }
        catch (AzureFaultException)
        {
            foreach (var range in taken)
                pool.Release(range);
            throw;
        }
    }

    private AzureSubnet Check(AzureInterface nic, IReadOnlyList<AzureIpConfigurationRequest> requested)
    {
        if (requested.Count == 0)
            throw AzureFaults.Bad("NetworkInterfaceMustHaveIpConfigurations", $"Network interface {nic.Id} has no IP configurations.");
        if (requested.Count > Options.ConfigurationsPerInterface)
            throw AzureFaults.NotAllowed(
                $"Network interface {nic.Name} would have {requested.Count} IP configurations; the maximum is "
                    + $"{Options.ConfigurationsPerInterface}."
            );
        if (requested.GroupBy(each => each.Name, ArmId.Comparer).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw AzureFaults.InvalidFormat($"The IP configuration name '{twice.Key}' is given twice.");
        if (requested.Count(each => each.IsPrimary) != 1)
            throw AzureFaults.InvalidFormat("Exactly one IP configuration must be primary.");
        if (_subnets.TryGetValue(requested[0].Subnet, out var entry) is false)
            throw AzureFaults.InvalidReference(requested[0].Subnet, nic.Id);
        if (requested.Any(each => !ArmId.Comparer.Equals(each.Subnet, entry.Subnet.Id)))
            throw AzureFaults.DifferentSubnets(nic.Id, IsOfScaleSet(nic.Id));
        if (!ArmId.Comparer.Equals(entry.Subnet.Id, nic.Primary.Subnet))
            throw AzureFaults.NotAllowed("The lab does not move a running machine's interface to another subnet.");
        foreach (var request in requested)
        {
            if (request.PrefixLength is not (32 or BlockPrefixLength))
                throw AzureFaults.InvalidFormat(
                    $"privateIPAddressPrefixLength {request.PrefixLength}: only {BlockPrefixLength} is supported."
                );
            if (request.PrefixLength == BlockPrefixLength && !Options.HasPrefixes)
                throw AzureFaults.Bad(
                    "SubscriptionNotRegisteredForFeature",
                    "The subscription is not registered for the feature of private IP address prefixes."
                );
            if (request.IsStatic && request.Address is null)
                throw AzureFaults.InvalidFormat($"IP configuration {request.Name} is static but has no privateIPAddress.");
            if (request is { IsPrimary: true, PrefixLength: BlockPrefixLength })
                throw AzureFaults.InvalidFormat("The primary IP configuration has a single address.");
            if (request.PrefixLength == BlockPrefixLength && request.Address is { } first && (Ipv4.Number(first) & 15) != 0)
                throw AzureFaults.InvalidFormat($"{first}/{BlockPrefixLength} is not aligned.");
            if (request is { IsPrimary: true, Address: { } address } && !address.Equals(nic.Primary.Range.BaseAddress))
                throw AzureFaults.NotAllowed("The lab does not change the primary address of a running machine.");
            if (request.IsPrimary && request.Address is null && request.Name != nic.Primary.Name)
                throw AzureFaults.NotAllowed("The lab does not change the primary address of a running machine.");
        }

        return entry.Subnet;
    }

    private void Put(DateTimeOffset at, AzureInterface nic)
    {
        _interfaces[nic.Id] = nic;
        if (!_history.TryGetValue(nic.Id, out var versions))
            _history[nic.Id] = versions = [];
        versions.Add((at, nic));
        if (versions.Count > MaxVersions)
            versions.RemoveAt(0);
    }

    private AzureInterface Existing(string id) =>
        FindInterface(id) ?? throw AzureFaults.NotFound("Microsoft.Network/networkInterfaces", ArmId.NameOf(id), Options.ResourceGroup);

    private static bool IsOfScaleSet(string id) => id.Contains("/virtualMachineScaleSets/", StringComparison.OrdinalIgnoreCase);
}
