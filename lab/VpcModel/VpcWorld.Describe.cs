// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Lab.VpcModel;

/// <summary>An instance with its interfaces, as DescribeInstances returns them.</summary>
public sealed record InstanceDescription(Instance Instance, IReadOnlyList<NetworkInterface> Interfaces);

/// <summary>A subnet with its number of free addresses, as DescribeSubnets returns it.</summary>
public sealed record SubnetDescription(Subnet Subnet, int AvailableAddresses);

/// <summary>Describe operations. They return interfaces as they were <see cref="WorldTiming.DescribeLag"/> ago.</summary>
public sealed partial class VpcWorld
{
    private static readonly FilterSet<NetworkInterface> InterfaceFilters = new(
        new Dictionary<string, Func<NetworkInterface, IEnumerable<string>>>(StringComparer.Ordinal)
        {
            ["addresses.private-ip-address"] = eni =>
                eni.SecondaryAddresses.Prepend(eni.PrimaryAddress).Select(address => address.ToString()),
            ["private-ip-address"] = eni => [eni.PrimaryAddress.ToString()],
            ["ipv6-addresses.ipv6-address"] = eni => eni.Ipv6Addresses.Select(address => address.ToString()),
            ["attachment.attachment-id"] = eni => OfAttachment(eni, attachment => attachment.Id.Value),
            ["attachment.instance-id"] = eni => OfAttachment(eni, attachment => attachment.Instance.Value),
            ["attachment.device-index"] = eni =>
                OfAttachment(eni, attachment => attachment.DeviceIndex.ToString(CultureInfo.InvariantCulture)),
            ["attachment.delete-on-termination"] = eni =>
                OfAttachment(eni, attachment => attachment.DeleteOnTermination ? "true" : "false"),
            ["attachment.status"] = eni => OfAttachment(eni, attachment => EnumText.Of(attachment.Status)),
            ["availability-zone"] = eni => [eni.Zone],
            ["description"] = eni => [eni.Description],
            ["group-id"] = eni => eni.Groups.Select(group => group.Value),
            ["interface-type"] = eni => [eni.InterfaceType],
            ["mac-address"] = eni => [eni.Mac],
            ["network-interface-id"] = eni => [eni.Id.Value],
            ["requester-managed"] = _ => ["false"],
            ["source-dest-check"] = eni => [eni.SourceDestCheck ? "true" : "false"],
            ["status"] = eni => [EnumText.StatusOf(eni)],
            ["subnet-id"] = eni => [eni.Subnet.Value],
            ["vpc-id"] = eni => [eni.Vpc.Value],
        },
        eni => eni.Tags
    );

    private static readonly FilterSet<SubnetDescription> SubnetFilters = new(
        new Dictionary<string, Func<SubnetDescription, IEnumerable<string>>>(StringComparer.Ordinal)
        {
            ["availability-zone"] = item => [item.Subnet.Zone],
            ["availabilityZone"] = item => [item.Subnet.Zone],
            ["available-ip-address-count"] = item => [item.AvailableAddresses.ToString(CultureInfo.InvariantCulture)],
            ["cidr-block"] = item => [item.Subnet.Ipv4Range.ToString()],
            ["ipv6-cidr-block-association.ipv6-cidr-block"] = item => item.Subnet.Ipv6Range is { } range ? [range.ToString()] : [],
            ["ipv6-cidr-block-association.state"] = item => item.Subnet.Ipv6Range is null ? [] : ["associated"],
            ["ipv6-native"] = _ => ["false"],
            ["state"] = _ => ["available"],
            ["subnet-id"] = item => [item.Subnet.Id.Value],
            ["vpc-id"] = item => [item.Subnet.Vpc.Value],
        },
        item => item.Subnet.Tags
    );

    private static readonly FilterSet<Vpc> VpcFilters = new(
        new Dictionary<string, Func<Vpc, IEnumerable<string>>>(StringComparer.Ordinal)
        {
            ["cidr"] = vpc => [vpc.Ipv4Ranges[0].ToString()],
            ["cidr-block-association.cidr-block"] = vpc => vpc.Ipv4Ranges.Select(range => range.ToString()),
            ["ipv6-cidr-block-association.ipv6-cidr-block"] = vpc => vpc.Ipv6Ranges.Select(range => range.ToString()),
            ["ipv6-cidr-block-association.state"] = vpc => vpc.Ipv6Ranges.Select(_ => "associated"),
            ["state"] = _ => ["available"],
            ["vpc-id"] = vpc => [vpc.Id.Value],
        },
        vpc => vpc.Tags
    );

    private static readonly FilterSet<SecurityGroup> GroupFilters = new(
        new Dictionary<string, Func<SecurityGroup, IEnumerable<string>>>(StringComparer.Ordinal)
        {
            ["group-id"] = group => [group.Id.Value],
            ["group-name"] = group => [group.Name],
            ["description"] = group => [group.Description],
            ["vpc-id"] = group => [group.Vpc.Value],
        },
        group => group.Tags
    );

    private static readonly FilterSet<InstanceDescription> InstanceFilters = new(
        new Dictionary<string, Func<InstanceDescription, IEnumerable<string>>>(StringComparer.Ordinal)
        {
            ["availability-zone"] = item => [item.Instance.Zone],
            ["instance-id"] = item => [item.Instance.Id.Value],
            ["instance-state-name"] = item => [EnumText.Of(item.Instance.State)],
            ["instance-type"] = item => [item.Instance.Type.Name],
            ["network-interface.ipv6-addresses.ipv6-address"] = item =>
                item.Interfaces.SelectMany(eni => eni.Ipv6Addresses).Select(address => address.ToString()),
            ["network-interface.network-interface-id"] = item => item.Interfaces.Select(eni => eni.Id.Value),
            ["private-ip-address"] = item =>
                item.Interfaces.Where(eni => eni.Attachment!.IsPrimary).Select(eni => eni.PrimaryAddress.ToString()),
            ["subnet-id"] = item => [item.Instance.Subnet.Value],
            ["vpc-id"] = item => [item.Instance.Vpc.Value],
        },
        item => item.Instance.Tags
    );

    private static readonly FilterSet<InstanceType> TypeFilters = new(
        new Dictionary<string, Func<InstanceType, IEnumerable<string>>>(StringComparer.Ordinal)
        {
            ["instance-type"] = type => [type.Name],
            ["bare-metal"] = type => [type.BareMetal ? "true" : "false"],
            ["hypervisor"] = type => type.BareMetal ? [] : [EnumText.Of(type.Hypervisor)],
            ["network-info.ipv6-supported"] = type => [type.SupportsIpv6 ? "true" : "false"],
            ["network-info.ipv6-addresses-per-interface"] = type => [type.Ipv6PerInterface.ToString(CultureInfo.InvariantCulture)],
        }
    );

    public Page<NetworkInterface> DescribeNetworkInterfaces(Query query) =>
        Call(
            "DescribeNetworkInterfaces",
            query.Kind,
            () =>
            {
                var chosen = SelectById(query, VisibleInterfaces(), id => FindVisible(new EniId(id)), Ec2Faults.NoSuchInterface);
                return Paging.Paginate(
                    query,
                    chosen.Where(InterfaceFilters.Compile(query.Filters)),
                    eni => eni.Id.Value,
                    "networkInterfaceIds"
                );
            }
        );

    public Page<InstanceDescription> DescribeInstances(Query query) =>
        Call(
            "DescribeInstances",
            query.Kind,
            () =>
            {
                var chosen = SelectById(query, Instances, id => FindInstance(new InstanceId(id)), Ec2Faults.NoSuchInstance)
                    .Select(Describe);
                return Paging.Paginate(
                    query,
                    chosen.Where(InstanceFilters.Compile(query.Filters)),
                    item => item.Instance.Id.Value,
                    "instancesSet"
                );
            }
        );

    public Page<SubnetDescription> DescribeSubnets(Query query) =>
        Call(
            "DescribeSubnets",
            query.Kind,
            () =>
            {
                var chosen = SelectById(query, _subnets.Values, id => _subnets.GetValueOrDefault(new SubnetId(id)), Ec2Faults.NoSuchSubnet)
                    .Select(entry => new SubnetDescription(entry.Subnet, entry.Ipv4.Free));
                return Paging.Paginate(
                    query,
                    chosen.Where(SubnetFilters.Compile(query.Filters)),
                    item => item.Subnet.Id.Value,
                    "subnetIds"
                );
            }
        );

    public Page<Vpc> DescribeVpcs(Query query) =>
        Call(
            "DescribeVpcs",
            query.Kind,
            () =>
                Paging.Paginate(
                    query,
                    SelectById(query, Vpcs, id => FindVpc(new VpcId(id)), Ec2Faults.NoSuchVpc).Where(VpcFilters.Compile(query.Filters)),
                    vpc => vpc.Id.Value,
                    "vpcIds"
                )
        );

    public Page<SecurityGroup> DescribeSecurityGroups(Query query) =>
        Call(
            "DescribeSecurityGroups",
            query.Kind,
            () =>
            {
                var chosen = SelectById(
                    query,
                    SecurityGroups,
                    id => _groups.GetValueOrDefault(new SecurityGroupId(id)),
                    Ec2Faults.NoSuchGroup
                );
                return Paging.Paginate(query, chosen.Where(GroupFilters.Compile(query.Filters)), group => group.Id.Value, "groupIds");
            }
        );

    public Page<InstanceType> DescribeInstanceTypes(Query query) =>
        Call(
            "DescribeInstanceTypes",
            query.Kind,
            () =>
            {
                var unknown = query.Ids.Where(name => !Options.InstanceTypes.ContainsKey(name)).ToArray();
                if (unknown.Length > 0)
                    throw new Ec2FaultException(
                        "InvalidInstanceType",
                        $"The following supplied instance types do not exist: [{string.Join(", ", unknown)}]"
                    );
                IEnumerable<InstanceType> chosen =
                    query.Ids.Count > 0
                        ? query.Ids.Distinct(StringComparer.Ordinal).Select(name => Options.InstanceTypes[name])
                        : Options.InstanceTypes.Values.OrderBy(type => type.Name, StringComparer.Ordinal);
                return Paging.Paginate(query, chosen.Where(TypeFilters.Compile(query.Filters)), type => type.Name, "instanceTypes");
            }
        );

    private InstanceDescription Describe(Instance instance) =>
        new(
            instance,
            [
                .. VisibleInterfaces()
                    .Where(eni => eni.Attachment?.Instance == instance.Id)
                    .OrderBy(eni => eni.Attachment!.NetworkCard)
                    .ThenBy(eni => eni.Attachment!.DeviceIndex),
            ]
        );

    private static IEnumerable<T> SelectById<T>(
        Query query,
        IEnumerable<T> all,
        Func<string, T?> find,
        Func<string, Ec2FaultException> missing
    )
        where T : class =>
        query.Ids.Count == 0 ? all : [.. query.Ids.Distinct(StringComparer.Ordinal).Select(id => find(id) ?? throw missing(id))];

    private IEnumerable<NetworkInterface> VisibleInterfaces() =>
        _interfaces.OrderBy(pair => pair.Value.Order).Select(pair => FindVisible(pair.Key)).OfType<NetworkInterface>();

    private NetworkInterface? FindVisible(EniId id) => FindAsOf(id, Timing.DescribeLag);

    private NetworkInterface? FindAsOf(EniId id, TimeSpan lag)
    {
        if (!_interfaces.TryGetValue(id, out var entry))
            return null;
        return lag == TimeSpan.Zero ? entry.Versions.Current : entry.Versions.At(Now - lag);
    }

    private static IEnumerable<string> OfAttachment(NetworkInterface eni, Func<InterfaceAttachment, string> value) =>
        eni.Attachment is { } attachment ? [value(attachment)] : [];
}
