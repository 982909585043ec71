// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.GceModel;

/// <summary>Methods on instances and networks (https://cloud.google.com/compute/docs/reference/rest/v1/instances).</summary>
public sealed partial class GceWorld
{
    private const string UpdateType = "updateNetworkInterface";

    /// <summary>Maximum number of versions of an instance's alias ranges, for metadata that lags.</summary>
    private const int MaxVersions = 256;

    private readonly Dictionary<ulong, List<(DateTimeOffset Since, GceInstance Instance)>> _history = [];

    public GceInstance GetInstance(DateTimeOffset now, string project, string zone, string name) =>
        Call(now, project, "instances.get", GceCallKind.Read, () => Existing(zone, name));

    /// <summary>The instances of a zone, in order of their names.</summary>
    public IReadOnlyList<GceInstance> ListInstances(DateTimeOffset now, string project, string zone) =>
        Call<IReadOnlyList<GceInstance>>(
            now,
            project,
            "instances.list",
            GceCallKind.Read,
            () => [.. Instances.Where(instance => instance.Zone == zone).OrderBy(instance => instance.Name, StringComparer.Ordinal)]
        );

    public GceNetwork GetNetwork(DateTimeOffset now, string project, string name) =>
        Call(
            now,
            project,
            "networks.get",
            GceCallKind.Read,
            () => _networks.GetValueOrDefault(name) ?? throw GceFaults.NotFound(Path($"global/networks/{name}"))
        );

    public IReadOnlyList<GceNetwork> ListNetworks(DateTimeOffset now, string project) =>
        Call<IReadOnlyList<GceNetwork>>(
            now,
            project,
            "networks.list",
            GceCallKind.Read,
            () => [.. Networks.OrderBy(network => network.Name, StringComparer.Ordinal)]
        );

    public GceSubnetwork GetSubnetwork(DateTimeOffset now, string project, string region, string name) =>
        Call(
            now,
            project,
            "subnetworks.get",
            GceCallKind.Read,
            () => FindSubnetwork(region, name) ?? throw GceFaults.NotFound(Path($"regions/{region}/subnetworks/{name}"))
        );

    public IReadOnlyList<GceSubnetwork> ListSubnetworks(DateTimeOffset now, string project, string region) =>
        Call<IReadOnlyList<GceSubnetwork>>(
            now,
            project,
            "subnetworks.list",
            GceCallKind.Read,
            () => [.. Subnetworks.Where(each => each.Region == region).OrderBy(each => each.Name, StringComparer.Ordinal)]
        );

    /// <summary>
    /// Replaces the alias ranges of an instance's interface. Malformed requests and stale fingerprints are errors; ranges that are not free
    /// make the operation fail. New ranges are taken at once; the change takes effect, and removed ranges become free, at the operation's
    /// end.
    /// </summary>
    public GceOperation UpdateNetworkInterface(DateTimeOffset now, string project, GceInterfaceUpdate update) =>
        Call(
            now,
            project,
            "instances.updateNetworkInterface",
            GceCallKind.Mutation,
            () =>
            {
                if (Repeated(update.RequestId) is { } earlier)
                    return earlier;
                var target = Path($"zones/{update.Zone}/instances/{update.Instance}");
                var instance = Existing(update.Zone, update.Instance);
                if (update.Interface != GceInterface.FirstName)
                    throw GceFaults.Invalid("networkInterface", update.Interface, "The instance has no such network interface.");
                if (IsBusy(target))
                    throw GceFaults.NotReady(target);
                if (update.Fingerprint != instance.Interface.Fingerprint)
                    throw GceFaults.StaleFingerprint();
                var entry = _subnetworks[(instance.Region, instance.Interface.Subnetwork)];
                if (update.AliasRanges is { } requested)
                    CheckAliases(entry.Subnetwork, requested);

                var injected = Injected("instances.updateNetworkInterface");
                var kept = instance.Interface.AliasRanges;
                var (ranges, failure) =
                    injected is not null ? (kept, injected)
                    : update.AliasRanges is { } wanted ? TakeAliases(entry, kept, wanted)
                    : (kept, null);
                return Start(
                    now,
                    new OperationStart(update.Zone, UpdateType, target, instance.Id, update.RequestId, failure),
                    at => Apply(at, instance, entry, ranges)
                );
            }
        );

    /// <summary>
    /// The instance as the metadata server shows it: its current identity, with alias ranges that lag behind; null if it does not exist.
    /// </summary>
    public GceInstance? DescribeMetadata(DateTimeOffset now, string zone, string name)
    {
        Advance(now);
        if (FindInstance(zone, name) is not { } instance)
            return null;
        var versions = _history[instance.Id];
        var visible = versions.FindLastIndex(version => version.Since <= now - Timing.MetadataLag);
        return versions[Math.Max(0, visible)].Instance;
    }

    private GceInstance Existing(string zone, string name) =>
        FindInstance(zone, name) ?? throw GceFaults.NotFound(Path($"zones/{zone}/instances/{name}"));

    private void Put(DateTimeOffset at, GceInstance instance)
    {
        _instances[(instance.Zone, instance.Name)] = instance;
        if (!_history.TryGetValue(instance.Id, out var versions))
            _history[instance.Id] = versions = [];
        versions.Add((at, instance));
        if (versions.Count > MaxVersions)
            versions.RemoveAt(0);
    }

    private void Apply(DateTimeOffset at, GceInstance before, SubnetworkEntry entry, ImmutableArray<GceAliasRange> ranges)
    {
        var kept = before.Interface.AliasRanges;
        // An instance that was deleted meanwhile has returned what it had; what the operation took for it goes back, too.
        var current = FindInstance(before.Zone, before.Name);
        var isDeleted = current?.Id != before.Id;
        foreach (var free in isDeleted ? ranges.Except(kept) : kept.Except(ranges))
            entry.Pools[free.RangeName ?? ""].Release(free.Range);
        if (isDeleted)
            return;
        Put(at, current! with { Interface = current.Interface with { AliasRanges = ranges, Fingerprint = _ids.NextFingerprint() } });
        NetworkChanged?.Invoke();
    }

    /// <summary>Checks what does not depend on what other interfaces have.</summary>
    private void CheckAliases(GceSubnetwork subnetwork, IReadOnlyList<GceAliasRequest> requested)
    {
        if (requested.Count > Options.AliasRangesPerInterface)
            throw GceFaults.LimitExceeded("ALIAS_IP_RANGES_PER_NETWORK_INTERFACE", GceInterface.FirstName, Options.AliasRangesPerInterface);
        List<IPNetwork> explicitRanges = [];
        foreach (var (index, alias) in requested.Index())
        {
            var field = $"resource.aliasIpRanges[{index}]";
            var pool = alias.RangeName is null
                ? subnetwork.Range
                : subnetwork.SecondaryRanges.FirstOrDefault(each => each.Name == alias.RangeName)?.Range
                    ?? throw GceFaults.Invalid(
                        field + ".subnetworkRangeName",
                        alias.RangeName,
                        $"Subnetwork '{subnetwork.Name}' has no secondary range of this name."
                    );
            if (PrefixLengthOf(alias.Cidr) is { } length)
            {
                if (length < pool.PrefixLength || length > 32)
                    throw GceFaults.Invalid(field + ".ipCidrRange", alias.Cidr, $"A range of this length does not fit into {pool}.");
                continue;
            }

            if (Ipv4.Parse(alias.Cidr) is not { } range)
                throw GceFaults.Invalid(field + ".ipCidrRange", alias.Cidr, "Must be an address, a range in CIDR notation, or a netmask.");
            if (!Ipv4.Within(range, pool))
                throw GceFaults.Invalid(field + ".ipCidrRange", alias.Cidr, $"It is not within the subnetwork's range {pool}.");
            if (explicitRanges.Exists(other => Ipv4.Overlap(other, range)))
                throw GceFaults.Invalid(field + ".ipCidrRange", alias.Cidr, "It overlaps another alias range of the request.");
            explicitRanges.Add(range);
        }
    }

    /// <summary>
    /// Takes the requested ranges that the interface does not have yet, in order. On failure, takes none and returns those of before.
    /// </summary>
    private (ImmutableArray<GceAliasRange> Ranges, GceOperationError? Failure) TakeAliases(
        SubnetworkEntry entry,
        ImmutableArray<GceAliasRange> before,
        IReadOnlyList<GceAliasRequest> requested
    )
    {
        List<GceAliasRange> result = [];
        List<GceAliasRange> taken = [];
        GceOperationError? failure = null;
        // Ranges that the request names come first, so that GCE does not pick one of them for a netmask.
        foreach (var alias in requested.OrderBy(alias => PrefixLengthOf(alias.Cidr) is null ? 0 : 1))
        {
            var pool = entry.Pools[alias.RangeName ?? ""];
            if (PrefixLengthOf(alias.Cidr) is { } length)
            {
                if (pool.TakeAny(length) is not { } picked)
                {
                    var name = alias.RangeName is null ? entry.Subnetwork.Name : $"{entry.Subnetwork.Name}-{alias.RangeName}";
                    failure = GceFaults.SpaceExhausted(Path($"regions/{entry.Subnetwork.Region}/subnetworks/{name}"));
                    break;
                }

                taken.Add(new GceAliasRange(picked, alias.RangeName));
                continue;
            }

            var wanted = new GceAliasRange(Ipv4.Parse(alias.Cidr)!.Value, alias.RangeName);
            if (before.Contains(wanted))
            {
                result.Add(wanted);
                continue;
            }

            if (!pool.TryTake(wanted.Range))
            {
                failure = GceFaults.AddressInUse(wanted.Range);
                break;
            }

            taken.Add(wanted);
        }

        if (failure is null)
            return ([.. result, .. taken], null);
        foreach (var alias in taken)
            entry.Pools[alias.RangeName ?? ""].Release(alias.Range);
        return (before, failure);
    }

    /// <summary>The length of a range of which only a netmask is given (<c>/28</c>); null for anything else.</summary>
    private static int? PrefixLengthOf(string cidr) =>
        cidr.Length is 2 or 3
        && cidr[0] == '/'
        && int.TryParse(cidr.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            ? length
            : null;
}
