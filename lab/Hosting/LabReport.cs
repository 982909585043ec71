// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Builds a <see cref="LabStatus"/> from the model, the nodes and the router's counters. Pure; the caller holds the world's gate.
/// </summary>
internal static class LabReport
{
    public static LabStatus Make(VpcWorld world, IReadOnlyList<LabNode> nodes, RouterDrops drops) =>
        new()
        {
            Name = "",
            ProcessId = 0,
            StartedAt = default,
            Ready = false,
            VpcRange = "",
            Subnets = [], // VpcLab.StatusAsync sets the properties up to here
            Ec2Endpoint = VpcLab.Ec2Endpoint,
            AllSubnets =
            [
                .. world
                    .Subnets.OrderBy(subnet => subnet.Zone, StringComparer.Ordinal)
                    .Select(subnet => new SubnetStatus(
                        subnet.Id.Value,
                        subnet.Zone,
                        subnet.Ipv4Range.ToString(),
                        world.FreeAddresses(subnet.Id),
                        subnet.Ipv6Range?.ToString()
                    )),
            ],
            SecurityGroups = [.. world.SecurityGroups.Select(group => new SecurityGroupStatus(group.Id.Value, group.Name))],
            Nodes = [.. nodes.Select(node => Describe(world, node, drops))],
            DroppedUnowned = drops.Unowned,
            DroppedInternetOutbound = drops.InternetOutbound,
            DroppedInternetInbound = drops.InternetInbound,
            Ec2Calls =
            [
                .. world
                    .Calls.Counts.Select(pair => new Ec2CallCount(pair.Key.Operation, pair.Key.Outcome, pair.Value))
                    .OrderBy(call => call.Operation, StringComparer.Ordinal)
                    .ThenBy(call => call.Outcome, StringComparer.Ordinal),
            ],
            Faults =
            [
                .. world.Faults.Rules.Select(rule => new FaultSpec
                {
                    Operation = rule.Operation,
                    Code = rule.Code,
                    Message = rule.Message,
                    Times = rule.Times,
                    AfterEffect = rule.Moment == FaultMoment.AfterEffect,
                }),
            ],
        };

    private static NodeStatus Describe(VpcWorld world, LabNode node, RouterDrops drops)
    {
        var interfaces = world.InterfacesOf(node.Instance.Id);
        var pods = node.Pods;
        return new NodeStatus
        {
            Name = node.Name,
            InstanceId = node.Instance.Id.Value,
            InstanceType = node.Instance.Type.Name,
            Subnet = world.FindSubnet(node.Instance.Subnet)!.Ipv4Range.ToString(),
            Address = node.Address.ToString(),
            Ipv6Address = node.Ipv6Address?.ToString(),
            NetworkNamespace = node.Network.Path ?? "",
            Ipamd = node.Ipamd?.State ?? "absent",
            IpamdProcessId = node.Ipamd?.ProcessId,
            IpamdResidentMebibytes = node.Ipamd?.ResidentMebibytes,
            IpamdSocket = node.Paths.IpamdSocket,
            IpamdProgram = node.Ipamd?.Program,
            Environment = node.Ipamd?.Environment ?? new Dictionary<string, string>(),
            Folder = node.Paths.Folder,
            Enis = [.. interfaces.Select(eni => Describe(eni, pods, drops))],
            Pods =
            [
                .. pods.Select(pod => new PodStatus
                {
                    Name = pod.Name,
                    Address = pod.Address.ToString(),
                    Addresses = [.. pod.Addresses.Select(address => address.ToString())],
                    EniId = interfaces.FirstOrDefault(eni => Owns(eni, pod.Address))?.Id.Value,
                    NetworkNamespace = pod.Attachment.NamespacePath,
                    ContainerId = pod.Attachment.ContainerId,
                    AddMilliseconds = Math.Round(pod.AddElapsed.TotalMilliseconds, 1),
                }),
            ],
        };
    }

    private static EniStatus Describe(NetworkInterface eni, IReadOnlyList<LabPod> pods, RouterDrops drops) =>
        new()
        {
            Id = eni.Id.Value,
            DeviceIndex = eni.Attachment!.DeviceIndex,
            Link = FabricNames.NodeLink(eni.Attachment.DeviceIndex, eni.Attachment.NetworkCard),
            Mac = eni.Mac,
            AttachmentState = eni.Attachment.Status.ToString().ToLowerInvariant(),
            PrimaryAddress = eni.PrimaryAddress.ToString(),
            SubnetId = eni.Subnet.Value,
            SecurityGroups = [.. eni.Groups.Select(group => group.Value)],
            SecondaryAddresses = [.. eni.SecondaryAddresses.Select(address => address.ToString())],
            Prefixes = [.. eni.Ipv4Prefixes.Select(prefix => prefix.ToString())],
            Ipv6Addresses = [.. eni.Ipv6Addresses.Select(address => address.ToString())],
            Ipv6Prefixes = [.. eni.Ipv6Prefixes.Select(prefix => prefix.ToString())],
            Pods = pods.Count(pod => pod.Addresses.Any(address => Owns(eni, address))),
            Spoofed = drops.SpoofedByInterface.GetValueOrDefault(eni.Id.Value),
        };

    private static bool Owns(NetworkInterface eni, IPAddress address) => eni.AllRanges.Any(range => range.Contains(address));
}
