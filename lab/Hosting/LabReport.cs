// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Fabric;

namespace VpcCni.Lab.Hosting;

/// <summary>Builds a <see cref="LabStatus"/> from what the cloud reports, the nodes and the router's counters. Pure.</summary>
internal static class LabReport
{
    public static LabStatus Make(CloudReport cloud, IReadOnlyList<LabNode> nodes, RouterDrops drops) =>
        new()
        {
            Name = "",
            Cloud = default,
            ProcessId = 0,
            StartedAt = default,
            Ready = false,
            VpcRange = "",
            Subnets = [], // VpcLab.StatusAsync sets the properties up to here
            CloudEndpoint = VpcLab.CloudEndpoint,
            AllSubnets = cloud.Subnets,
            SecurityGroups = cloud.SecurityGroups,
            Nodes = [.. nodes.Select(node => Describe(cloud, node, drops))],
            DroppedUnowned = drops.Unowned,
            DroppedInternetOutbound = drops.InternetOutbound,
            DroppedInternetInbound = drops.InternetInbound,
            CloudCalls = cloud.Calls,
            Faults = cloud.Faults,
        };

    private static NodeStatus Describe(CloudReport cloud, LabNode node, RouterDrops drops)
    {
        var interfaces = cloud.Interfaces.GetValueOrDefault(node.Machine.Id, []);
        var pods = node.Pods;
        return new NodeStatus
        {
            Name = node.Name,
            InstanceId = node.Machine.Id,
            InstanceType = node.Machine.Type,
            Subnet = node.Machine.Subnet.ToString(),
            Address = node.Address.ToString(),
            Ipv6Address = node.Ipv6Address?.ToString(),
            PodRanges = [.. node.PodRanges.Select(range => range.ToString())],
            NetworkNamespace = node.Network.Path ?? "",
            Ipamd = node.Ipamd?.State ?? "absent",
            IpamdProcessId = node.Ipamd?.ProcessId,
            IpamdResidentMebibytes = node.Ipamd?.ResidentMebibytes,
            IpamdSocket = node.Paths.IpamdSocket,
            IpamdProgram = node.Ipamd?.Program,
            Environment = node.Ipamd?.Environment ?? new Dictionary<string, string>(),
            Folder = node.Paths.Folder,
            Enis =
            [
                .. interfaces.Select(nic =>
                    nic.Status with
                    {
                        Pods = pods.Count(pod => pod.Addresses.Any(address => Owns(nic, address))),
                        Spoofed = drops.SpoofedByInterface.GetValueOrDefault(nic.FabricId),
                    }
                ),
            ],
            Pods =
            [
                .. pods.Select(pod => new PodStatus
                {
                    Name = pod.Name,
                    Address = pod.Address.ToString(),
                    Addresses = [.. pod.Addresses.Select(address => address.ToString())],
                    EniId = interfaces.FirstOrDefault(nic => Owns(nic, pod.Address))?.Status.Id,
                    NetworkNamespace = pod.Attachment.NamespacePath,
                    ContainerId = pod.Attachment.ContainerId,
                    AddMilliseconds = Math.Round(pod.AddElapsed.TotalMilliseconds, 1),
                }),
            ],
        };
    }

    private static bool Owns(ReportedInterface nic, IPAddress address) => nic.Ranges.Any(range => range.Contains(address));
}
