// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;

namespace VpcCni.Lab.VpcModel;

/// <summary>Operations on tags of every kind of resource.</summary>
public sealed partial class VpcWorld
{
    private const int MaxTags = 50;
    private const int MaxKeyLength = 128;
    private const int MaxValueLength = 256;

    private static readonly FilterSet<TagRecord> TagFilters = new(
        new Dictionary<string, Func<TagRecord, IEnumerable<string>>>(StringComparer.Ordinal)
        {
            ["key"] = tag => [tag.Key],
            ["value"] = tag => [tag.Value],
            ["resource-id"] = tag => [tag.ResourceId],
            ["resource-type"] = tag => [tag.ResourceType],
        }
    );

    public void CreateTags(IReadOnlyList<string> resources, IReadOnlyDictionary<string, string> tags) =>
        Call(
            "CreateTags",
            CallKind.Mutating,
            () =>
            {
                if (resources.Count == 0)
                    throw Ec2Faults.Missing("resourceIdSet");
                if (tags.Count == 0)
                    throw Ec2Faults.Missing("tagSet");
                var changed = resources.Select(id => (Id: id, Tags: CheckedTags(TagsOf(id), tags))).ToArray();
                foreach (var (id, after) in changed)
                    SetTags(id, after);
                return true;
            }
        );

    /// <summary>DeleteTags.</summary>
    /// <param name="resources">Ids of resources, which must exist.</param>
    /// <param name="tags">
    /// The tags to delete: with a null value, whatever the tag's value is; otherwise only if the value is equal. Empty deletes all tags.
    /// </param>
    public void DeleteTags(IReadOnlyList<string> resources, IReadOnlyList<KeyValuePair<string, string?>> tags) =>
        Call(
            "DeleteTags",
            CallKind.Mutating,
            () =>
            {
                if (resources.Count == 0)
                    throw Ec2Faults.Missing("resourceIdSet");
                var before = resources.Select(id => (Id: id, Tags: TagsOf(id))).ToArray();
                foreach (var (id, existing) in before)
                {
                    var removed =
                        tags.Count == 0
                            ? existing.Keys
                            : tags.Where(tag =>
                                    existing.TryGetValue(tag.Key, out var value)
                                    && (tag.Value is null || string.Equals(tag.Value, value, StringComparison.Ordinal))
                                )
                                .Select(tag => tag.Key);
                    SetTags(id, existing.RemoveRange(removed));
                }

                return true;
            }
        );

    public Page<TagRecord> DescribeTags(Query query) =>
        Call(
            "DescribeTags",
            query.Kind,
            () =>
                Paging.Paginate(
                    query,
                    AllTags().Where(TagFilters.Compile(query.Filters)),
                    tag => tag.ResourceId + "/" + tag.Key,
                    "resourceIds"
                )
        );

    private IEnumerable<TagRecord> AllTags()
    {
        IEnumerable<(string Id, string Type, ImmutableSortedDictionary<string, string> Tags)> tagged =
        [
            .. Vpcs.Select(vpc => (vpc.Id.Value, "vpc", vpc.Tags)),
            .. Subnets.Select(subnet => (subnet.Id.Value, "subnet", subnet.Tags)),
            .. SecurityGroups.Select(group => (group.Id.Value, "security-group", group.Tags)),
            .. RouteTables.Select(table => (table.Id.Value, "route-table", table.Tags)),
            .. Instances.Select(instance => (instance.Id.Value, "instance", instance.Tags)),
            .. VisibleInterfaces().Select(eni => (eni.Id.Value, "network-interface", eni.Tags)),
        ];
        return tagged.SelectMany(resource => resource.Tags.Select(tag => new TagRecord(resource.Id, resource.Type, tag.Key, tag.Value)));
    }

    private ImmutableSortedDictionary<string, string> TagsOf(string id) =>
        KindOf(id) switch
        {
            "vpc" => (FindVpc(new VpcId(id)) ?? throw Ec2Faults.NoSuchVpc(id)).Tags,
            "subnet" => GetSubnet(new SubnetId(id)).Subnet.Tags,
            "sg" => (_groups.GetValueOrDefault(new SecurityGroupId(id)) ?? throw Ec2Faults.NoSuchGroup(id)).Tags,
            "rtb" => GetRouteTable(new RouteTableId(id)).Tags,
            "i" => GetInstance(new InstanceId(id)).Tags,
            "eni" => Get(new EniId(id)).Tags,
            _ => throw Ec2Faults.BadId(id),
        };

    private void SetTags(string id, ImmutableSortedDictionary<string, string> tags)
    {
        switch (KindOf(id))
        {
            case "vpc":
                _vpcs[new VpcId(id)] = _vpcs[new VpcId(id)] with { Tags = tags };
                break;
            case "subnet":
                var entry = _subnets[new SubnetId(id)];
                _subnets[entry.Subnet.Id] = entry with { Subnet = entry.Subnet with { Tags = tags } };
                break;
            case "sg":
                _groups[new SecurityGroupId(id)] = _groups[new SecurityGroupId(id)] with { Tags = tags };
                break;
            case "rtb":
                _routeTables[new RouteTableId(id)] = _routeTables[new RouteTableId(id)] with { Tags = tags };
                break;
            case "i":
                _instances[new InstanceId(id)] = _instances[new InstanceId(id)] with { Tags = tags };
                break;
            case "eni":
                Put(Get(new EniId(id)) with { Tags = tags });
                break;
        }
    }

    private static string KindOf(string id) => id[..Math.Max(0, id.LastIndexOf('-'))];

    private static ImmutableSortedDictionary<string, string> CheckedTags(
        ImmutableSortedDictionary<string, string> before,
        IReadOnlyDictionary<string, string>? added
    )
    {
        foreach (var (key, value) in added ?? NoTags.Value)
        {
            if (key.Length is 0 or > MaxKeyLength)
                throw Ec2Faults.BadValue($"Tag key '{key}' is invalid: expected 1 to {MaxKeyLength} characters");
            if (value.Length > MaxValueLength)
                throw Ec2Faults.BadValue($"The value of tag '{key}' is invalid: expected at most {MaxValueLength} characters");
            if (key.StartsWith("aws:", StringComparison.OrdinalIgnoreCase))
                throw Ec2Faults.BadValue("Tag keys starting with 'aws:' are reserved for internal use");
        }

        var after = before.SetItems(added ?? NoTags.Value);
        return after.Count <= MaxTags
            ? after
            : throw new Ec2FaultException("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
    }
}
