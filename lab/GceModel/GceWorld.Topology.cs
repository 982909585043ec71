// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using VpcCni.Lab.ModelParts;

namespace VpcCni.Lab.GceModel;

/// <summary>The topology. The lab and tests change it directly, not through the API: without delay, limits or faults.</summary>
public sealed partial class GceWorld
{
    private const int MaxSecondaryRanges = 170;

    public GceNetwork CreateNetwork(DateTimeOffset now, string name)
    {
        Advance(now);
        CheckName("resource.name", name);
        if (_networks.ContainsKey(name))
            throw GceFaults.AlreadyExists(Path($"global/networks/{name}"));
        var network = new GceNetwork(name, _ids.NextId(), now);
        _networks.Add(name, network);
        AddRoute(
            new GceRoute
            {
                Name = $"default-route-{_ids.NextId():x16}",
                Id = _ids.NextId(),
                Network = name,
                Destination = IPNetwork.Parse("0.0.0.0/0"),
                Priority = 1000,
                Description = "Default route to the Internet.",
                CreatedAt = now,
                IsInternet = true,
            }
        );
        return network;
    }

    public GceSubnetwork CreateSubnetwork(
        DateTimeOffset now,
        string network,
        string region,
        string name,
        IPNetwork range,
        IReadOnlyList<GceSecondaryRange>? secondaryRanges = null
    )
    {
        Advance(now);
        var secondary = secondaryRanges ?? [];
        CheckName("resource.name", name);
        if (!_networks.ContainsKey(network))
            throw GceFaults.NotFound(Path($"global/networks/{network}"));
        if (_subnetworks.ContainsKey((region, name)))
            throw GceFaults.AlreadyExists(Path($"regions/{region}/subnetworks/{name}"));
        if (range.BaseAddress.AddressFamily != AddressFamily.InterNetwork || range.PrefixLength is < 4 or > 29)
            throw GceFaults.Invalid("resource.ipCidrRange", range.ToString(), "A subnetwork's primary range is an IPv4 /4 to /29.");
        if (secondary.Count > MaxSecondaryRanges)
            throw GceFaults.LimitExceeded("SECONDARY_RANGES_PER_SUBNETWORK", name, MaxSecondaryRanges);
        IPNetwork[] added = [range, .. secondary.Select(each => each.Range)];
        foreach (var (index, each) in added.Index())
        {
            if (
                added.Take(index).Concat(RangesOf(network)).FirstOrDefault(other => Ipv4.Overlap(other, each)) is
                { PrefixLength: > 0 } clash
            )
                throw GceFaults.Invalid("resource.ipCidrRange", each.ToString(), $"It conflicts with the range {clash} of the network.");
        }

        foreach (var (index, each) in secondary.Index())
        {
            CheckName($"resource.secondaryIpRanges[{index}].rangeName", each.Name);
            if (each.Range.BaseAddress.AddressFamily != AddressFamily.InterNetwork || each.Range.PrefixLength is < 4 or > 29)
                throw GceFaults.Invalid(
                    $"resource.secondaryIpRanges[{index}].ipCidrRange",
                    each.Range.ToString(),
                    "A secondary range is an IPv4 /4 to /29."
                );
            if (secondary.Take(index).Any(other => other.Name == each.Name))
                throw GceFaults.Invalid($"resource.secondaryIpRanges[{index}].rangeName", each.Name, "The name is given twice.");
        }

        var subnetwork = new GceSubnetwork
        {
            Name = name,
            Id = _ids.NextId(),
            Network = network,
            Region = region,
            Range = range,
            SecondaryRanges = [.. secondary],
            Fingerprint = _ids.NextFingerprint(),
            CreatedAt = now,
        };
        var pools = secondary.ToDictionary(
            each => each.Name,
            each => new RangePool(each.Range, reservedFirst: 0, reservedLast: 0),
            StringComparer.Ordinal
        );
        // The first two and the last two addresses of a primary range are reserved, and none of a secondary range
        // (https://cloud.google.com/vpc/docs/subnets#unusable-ip-addresses-in-every-subnet).
        pools.Add("", new RangePool(range, reservedFirst: 2, reservedLast: 2));
        _subnetworks.Add((region, name), new SubnetworkEntry(subnetwork, pools));
        foreach (var each in added)
        {
            AddRoute(
                new GceRoute
                {
                    Name = $"default-route-{_ids.NextId():x16}",
                    Id = _ids.NextId(),
                    Network = network,
                    Destination = each,
                    Priority = 0,
                    Description = "Default local route to the subnetwork.",
                    CreatedAt = now,
                    IsSubnetRoute = true,
                }
            );
        }

        NetworkChanged?.Invoke();
        return subnetwork;
    }

    /// <summary>Launches an instance, which runs at once.</summary>
    public GceInstance LaunchInstance(DateTimeOffset now, GceLaunchRequest request)
    {
        Advance(now);
        CheckName("resource.name", request.Name);
        var key = (request.Zone, request.Name);
        if (_instances.ContainsKey(key))
            throw GceFaults.AlreadyExists(Path($"zones/{request.Zone}/instances/{request.Name}"));
        var region = RegionOf(request.Zone);
        if (!_subnetworks.TryGetValue((region, request.Subnetwork), out var entry))
            throw GceFaults.NotFound(Path($"regions/{region}/subnetworks/{request.Subnetwork}"));
        var primary = entry.Pools[""];
        var address = request.Address;
        if (address is not null)
        {
            if (!primary.TryTake(new IPNetwork(address, 32)))
                throw GceFaults.Invalid(
                    "resource.networkInterfaces[0].networkIP",
                    address.ToString(),
                    "The address is not a free one of the subnetwork's primary range."
                );
        }
        else
            address =
                primary.TakeAny(32)?.BaseAddress
                ?? throw GceFaults.Invalid(
                    "resource.networkInterfaces[0].subnetwork",
                    request.Subnetwork,
                    GceFaults.SpaceExhausted(Path($"regions/{region}/subnetworks/{request.Subnetwork}")).Message
                );
        var (aliases, failure) = TakeAliases(entry, [], request.AliasRanges);
        if (failure is not null)
        {
            primary.Release(new IPNetwork(address, 32));
            throw GceFaults.Invalid("resource.networkInterfaces[0].aliasIpRanges", "", failure.Message);
        }

        var instance = new GceInstance
        {
            Name = request.Name,
            Id = _ids.NextId(),
            Zone = request.Zone,
            MachineType = request.MachineType,
            CanIpForward = request.CanIpForward,
            CreatedAt = now,
            Interface = new GceInterface
            {
                Subnetwork = request.Subnetwork,
                Address = address,
                Fingerprint = _ids.NextFingerprint(),
                AliasRanges = aliases,
            },
        };
        Put(now, instance);
        NetworkChanged?.Invoke();
        return instance;
    }

    /// <summary>Deletes an instance and frees its addresses. Its routes stay, without effect.</summary>
    public void DeleteInstance(DateTimeOffset now, string zone, string name)
    {
        Advance(now);
        if (!_instances.Remove((zone, name), out var instance))
            throw GceFaults.NotFound(Path($"zones/{zone}/instances/{name}"));
        var entry = _subnetworks[(instance.Region, instance.Interface.Subnetwork)];
        entry.Pools[""].Release(new IPNetwork(instance.Interface.Address, 32));
        foreach (var alias in instance.Interface.AliasRanges)
            entry.Pools[alias.RangeName ?? ""].Release(alias.Range);
        _history.Remove(instance.Id);
        NetworkChanged?.Invoke();
    }

    /// <summary>Sets whether an instance may forward, as a stopped instance's property can be changed.</summary>
    public GceInstance SetCanIpForward(DateTimeOffset now, string zone, string name, bool canIpForward)
    {
        Advance(now);
        var instance = (FindInstance(zone, name) ?? throw GceFaults.NotFound(Path($"zones/{zone}/instances/{name}"))) with
        {
            CanIpForward = canIpForward,
        };
        Put(now, instance);
        NetworkChanged?.Invoke();
        return instance;
    }

    private IEnumerable<IPNetwork> RangesOf(string network) =>
        Subnetworks
            .Where(subnetwork => subnetwork.Network == network)
            .SelectMany(subnetwork => subnetwork.SecondaryRanges.Select(each => each.Range).Prepend(subnetwork.Range));

    private void AddRoute(GceRoute route) => _routes.Add(route.Name, route);

    private static string RegionOf(string zone) =>
        zone.LastIndexOf('-') is > 0 and var hyphen
            ? zone[..hyphen]
            : throw GceFaults.Invalid("zone", zone, "A zone's name is its region's, a hyphen and a letter.");

    private static void CheckName(string field, string name)
    {
        if (!ResourceName().IsMatch(name))
            throw GceFaults.Invalid(field, name, "Must be a match of regex '[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?'");
    }

    /// <summary>RFC 1035 labels, as the API's reference gives the expression.</summary>
    [GeneratedRegex("^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ResourceName();
}
