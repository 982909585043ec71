// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;

namespace VpcCni.Lab.VpcModel;

/// <summary>The topology: VPCs, subnets, groups and instances. The lab and tests change it directly, not through the API.</summary>
public sealed partial class VpcWorld
{
    /// <summary>Number of /80s of a subnet's /64 that can be assigned: all but the first and the last.</summary>
    public const int MaxIpv6Prefixes = Ipv6Pool.MaxAssignablePrefixes;

    private const int MaxRangesPerVpc = 50;

    public Vpc CreateVpc(IPNetwork ipv4, IPNetwork? ipv6 = null, IReadOnlyDictionary<string, string>? tags = null) =>
        ChangeTopology(() =>
        {
            CheckIpv4Range(ipv4, "VPC");
            if (ipv6 is { } range)
                CheckIpv6Range(range, "VPC", longest: 60);
            var vpc = new Vpc
            {
                Id = new VpcId(_ids.Next("vpc")),
                Ipv4Ranges = [ipv4],
                Ipv6Ranges = ipv6 is { } given ? [given] : [],
                Tags = CheckedTags(NoTags.Value, tags),
            };
            _vpcs.Add(vpc.Id, vpc);
            CreateMainRouteTable(vpc.Id);
            Raise(new VpcEvent.RangesChanged(vpc.Id, RangesOf(vpc)));
            return vpc;
        });

    /// <summary>AssociateVpcCidrBlock, for a range of either family, without delay.</summary>
    public Vpc AddRange(VpcId id, IPNetwork range) =>
        ChangeTopology(() =>
        {
            var vpc = FindVpc(id) ?? throw Ec2Faults.NoSuchVpc(id.Value);
            var isIpv4 = range.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
            if (isIpv4)
                CheckIpv4Range(range, "VPC");
            else
                CheckIpv6Range(range, "VPC", longest: 60);
            var ranges = RangesOf(vpc);
            if (ranges.Count >= MaxRangesPerVpc)
                throw new Ec2FaultException("CidrLimitExceeded", $"The VPC already has {MaxRangesPerVpc} ranges, the maximum");
            if (ranges.FirstOrDefault(other => Overlap(other, range)) is { PrefixLength: > 0 } clash)
                throw new Ec2FaultException("InvalidVpc.Range", $"The CIDR '{range}' overlaps with '{clash}', which the VPC already has");
            vpc = isIpv4 ? vpc with { Ipv4Ranges = vpc.Ipv4Ranges.Add(range) } : vpc with { Ipv6Ranges = vpc.Ipv6Ranges.Add(range) };
            _vpcs[id] = vpc;
            Raise(new VpcEvent.RangesChanged(id, RangesOf(vpc)));
            return vpc;
        });

    /// <summary>DisassociateVpcCidrBlock, without delay. Rejects the primary range and a range with subnets.</summary>
    public Vpc RemoveRange(VpcId id, IPNetwork range) =>
        ChangeTopology(() =>
        {
            var vpc = FindVpc(id) ?? throw Ec2Faults.NoSuchVpc(id.Value);
            if (vpc.Ipv4Ranges[0].Equals(range))
                throw Ec2Faults.NotPermitted($"The vpc CIDR block '{range}' may not be disassociated: it is the primary one");
            if (!RangesOf(vpc).Contains(range))
                throw new Ec2FaultException("InvalidCidrBlock.NotFound", $"The vpc '{id}' has no CIDR block '{range}'");
            if (
                Subnets.Any(subnet =>
                    subnet.Vpc == id && (Overlap(subnet.Ipv4Range, range) || subnet.Ipv6Range is { } ipv6 && Overlap(ipv6, range))
                )
            )
                throw new Ec2FaultException("DependencyViolation", $"The vpc CIDR block '{range}' has subnets");
            vpc = vpc with { Ipv4Ranges = vpc.Ipv4Ranges.Remove(range), Ipv6Ranges = vpc.Ipv6Ranges.Remove(range) };
            _vpcs[id] = vpc;
            Raise(new VpcEvent.RangesChanged(id, RangesOf(vpc)));
            return vpc;
        });

    public Subnet CreateSubnet(
        VpcId vpcId,
        string zone,
        IPNetwork ipv4,
        IPNetwork? ipv6 = null,
        IReadOnlyDictionary<string, string>? tags = null,
        bool assignIpv6AddressOnCreation = false
    ) =>
        ChangeTopology(() =>
        {
            var vpc = FindVpc(vpcId) ?? throw Ec2Faults.NoSuchVpc(vpcId.Value);
            if (zone.Length != Options.Region.Length + 1 || !zone.StartsWith(Options.Region, StringComparison.Ordinal))
                throw Ec2Faults.BadValue(
                    $"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in zones of "
                        + $"{Options.Region}, for example {Options.Region}a"
                );
            CheckIpv4Range(ipv4, "subnet");
            if (!vpc.Ipv4Ranges.Any(range => Within(ipv4, range)))
                throw new Ec2FaultException("InvalidSubnet.Range", $"The CIDR '{ipv4}' is invalid: it is not within a range of the VPC");
            if (assignIpv6AddressOnCreation && ipv6 is null)
                throw Ec2Faults.BadValue(
                    "Invalid value 'true' for assign-ipv6-address-on-creation. The subnet has no IPv6 CIDR block associated with it"
                );
            if (ipv6 is { } six)
            {
                if (six.PrefixLength != 64)
                    throw new Ec2FaultException("InvalidSubnet.Range", $"The IPv6 CIDR '{six}' is invalid: a subnet's is a /64");
                if (!vpc.Ipv6Ranges.Any(range => Within(six, range)))
                    throw new Ec2FaultException(
                        "InvalidSubnet.Range",
                        $"The IPv6 CIDR '{six}' is invalid: it is not within a range of the VPC"
                    );
            }

            if (
                Subnets.FirstOrDefault(other =>
                    other.Vpc == vpcId && (Overlap(other.Ipv4Range, ipv4) || ipv6 is { } a && other.Ipv6Range is { } b && Overlap(a, b))
                ) is
                { } clash
            )
                throw new Ec2FaultException("InvalidSubnet.Conflict", $"The CIDR '{ipv4}' conflicts with another subnet: {clash.Id}");

            var subnet = new Subnet
            {
                Id = new SubnetId(_ids.Next("subnet")),
                Vpc = vpcId,
                Zone = zone,
                Ipv4Range = ipv4,
                Ipv6Range = ipv6,
                AssignIpv6AddressOnCreation = assignIpv6AddressOnCreation,
                Tags = CheckedTags(NoTags.Value, tags),
            };
            var pool6 = ipv6 is { } range6 ? new Ipv6Pool(range6, Options.AddressOrder, _random) : null;
            _subnets.Add(subnet.Id, new SubnetEntry(subnet, new Ipv4Pool(ipv4, Options.AddressOrder, _random), pool6));
            return subnet;
        });

    /// <summary>
    /// Limits the subnet's IPv6 range to its first assignable /80s: EC2's ranges are never exhausted, and this makes one that is.
    /// Addresses and prefixes that are already assigned stay.
    /// </summary>
    /// <param name="id">The subnet.</param>
    /// <param name="prefixes">Number of /80s, 0 to <see cref="MaxIpv6Prefixes"/>; the subnet's first /80 is not one of them.</param>
    public void LimitIpv6Range(SubnetId id, int prefixes) =>
        ChangeTopology(() =>
        {
            var pool = GetSubnet(id).Ipv6 ?? throw Ec2Faults.NoIpv6Range(id);
            return pool.AssignablePrefixes = prefixes;
        });

    public SecurityGroup CreateSecurityGroup(VpcId vpc, string name, string description = "") =>
        ChangeTopology(() =>
        {
            if (!_vpcs.ContainsKey(vpc))
                throw Ec2Faults.NoSuchVpc(vpc.Value);
            var id = new SecurityGroupId(_ids.Next("sg"));
            var group = new SecurityGroup
            {
                Id = id,
                Vpc = vpc,
                Name = name,
                Description = description,
                Rules = RulesOfNewGroup(id),
            };
            _groups.Add(group.Id, group);
            return group;
        });

    /// <summary>
    /// Launches an instance with its primary interface attached on card 0; terminating the instance deletes the interface.
    /// </summary>
    public Instance LaunchInstance(LaunchRequest request) =>
        ChangeTopology(() =>
        {
            if (!Options.InstanceTypes.TryGetValue(request.InstanceType, out var type))
            {
                throw Ec2Faults.BadValue(
                    $"Invalid value '{request.InstanceType}' for InstanceType; expected one of: "
                        + $"{string.Join(", ", Options.InstanceTypes.Keys.Order(StringComparer.Ordinal))}"
                );
            }

            var subnet = GetSubnet(request.Subnet).Subnet;
            var tags = CheckedTags(NoTags.Value, request.Tags);
            var ipv6 = request.Ipv6 ?? (subnet.AssignIpv6AddressOnCreation ? AddressRequest.Any(1) : AddressRequest.None);
            CheckIpv6Fits(ipv6.Slots, type);
            if (ipv6.PrefixCount + ipv6.Prefixes.Count > 0)
                CheckPrefixSupport(type);
            var eni = NewInterface(
                new CreateInterfaceRequest
                {
                    Subnet = request.Subnet,
                    Groups = request.Groups,
                    PrimaryAddress = request.PrimaryAddress,
                    Ipv6 = ipv6,
                    EnablePrimaryIpv6 = request.EnablePrimaryIpv6,
                    Tags = request.InterfaceTags,
                }
            ) with
            {
                SourceDestCheck = request.SourceDestCheck,
            };
            var instance = new Instance
            {
                Id = new InstanceId(_ids.Next("i")),
                Type = type,
                Subnet = subnet.Id,
                Vpc = subnet.Vpc,
                Zone = subnet.Zone,
                PrimaryInterface = eni.Id,
                LaunchedAt = Now,
                Tags = tags,
            };
            _instances.Add(instance.Id, instance);
            _interfacesOf.Add(instance.Id, []);
            Raise(new VpcEvent.InstanceLaunched(instance.Id));
            Connect(eni, instance.Id, request.PrimaryDeviceIndex, networkCard: 0, deleteOnTermination: true, TimeSpan.Zero);
            return instance;
        });

    /// <summary>
    /// TerminateInstances, without delay. Deletes the instance's interfaces or makes them available, depending on their
    /// DeleteOnTermination.
    /// </summary>
    public Instance TerminateInstance(InstanceId id) =>
        ChangeTopology(() =>
        {
            var instance = GetInstance(id);
            if (instance.State == InstanceState.Terminated)
                return instance;
            foreach (var eni in InterfacesOf(id))
            {
                var attachment = eni.Attachment!;
                FinishDetach(eni, attachment, Now);
                if (attachment.DeleteOnTermination)
                    Remove(Get(eni.Id));
            }

            _instances[id] = instance = instance with { State = InstanceState.Terminated };
            Raise(new VpcEvent.InstanceTerminated(id));
            return instance;
        });

    private static IReadOnlyList<IPNetwork> RangesOf(Vpc vpc) => [.. vpc.Ipv4Ranges, .. vpc.Ipv6Ranges];

    /// <summary>Checks that a range is a /16 to /28, which EC2 requires for both VPCs and subnets.</summary>
    private static void CheckIpv4Range(IPNetwork range, string what)
    {
        if (range.BaseAddress.AddressFamily != AddressFamily.InterNetwork || range.PrefixLength is < 16 or > 28)
            throw new Ec2FaultException(
                what == "VPC" ? "InvalidVpc.Range" : "InvalidSubnet.Range",
                $"The CIDR '{range}' is invalid: a {what} has an IPv4 range between /16 and /28"
            );
    }

    private static void CheckIpv6Range(IPNetwork range, string what, int longest)
    {
        if (range.BaseAddress.AddressFamily != AddressFamily.InterNetworkV6 || range.PrefixLength < 44 || range.PrefixLength > longest)
            throw new Ec2FaultException(
                "InvalidVpc.Range",
                $"The IPv6 CIDR '{range}' is invalid: a {what} has one between /44 and /{longest}"
            );
    }

    private static bool Within(IPNetwork inner, IPNetwork outer) =>
        inner.PrefixLength >= outer.PrefixLength && outer.Contains(inner.BaseAddress);

    private static bool Overlap(IPNetwork a, IPNetwork b) => a.Contains(b.BaseAddress) || b.Contains(a.BaseAddress);
}
