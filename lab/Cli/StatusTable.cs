// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary>Formats a lab's status for a terminal of 80 columns.</summary>
internal static class StatusTable
{
    private const int MaxPodsShown = 60;

    public static async Task WriteAsync(TextWriter output, LabStatus status)
    {
        foreach (var line in Lines(status))
            await output.WriteLineAsync(line);
    }

    internal static IEnumerable<string> Lines(LabStatus status)
    {
        var api = status.Cloud switch
        {
            LabCloud.Aws => "EC2 API",
            LabCloud.Gce => "Compute Engine API",
            LabCloud.Azure => "Azure Resource Manager",
            _ => throw new ArgumentOutOfRangeException(nameof(status), status.Cloud, "unknown cloud"),
        };
        yield return $"lab {status.Name}  VPC {status.VpcRange}{(status.VpcIpv6Range is { } ipv6 ? $" and {ipv6}" : "")}  {api} "
            + $"{status.CloudEndpoint}{(status.Listen is { } listen ? $" and {listen}" : "")}";
        if (status.Kubernetes is { } cluster)
            yield return $"kubeconfig {cluster.Kubeconfig}  {cluster.OpenWatches} "
                + $"watches{(cluster.IsListening ? "" : "  OUTAGE: connections from nodes are refused")}";
        if (status.FabricFailure is { } failure)
            yield return $"BROKEN: {failure}";
        yield return "";
        yield return "NODE     ADDRESS         SUBNET             TYPE         IPAMD     MiB  INSTANCE";
        foreach (var node in status.Nodes)
            yield return $"{node.Name, -8} {node.Address, -15} {node.Subnet, -18} {node.InstanceType, -12} {node.Ipamd, -8} "
                + $"{node.IpamdResidentMebibytes, 4:F0}  {Truncate(node.InstanceId[(node.InstanceId.LastIndexOf('/') + 1)..], 13)}";

        if (status.AllSubnets.Count > status.Subnets.Count)
        {
            yield return "";
            yield return "SUBNET                    ZONE           RANGE                FREE";
            foreach (var subnet in status.AllSubnets)
                yield return $"{subnet.Id, -25} {subnet.Zone, -14} {subnet.Range, -18} {subnet.FreeAddresses, 6}";
            if (status.SecurityGroups.Count > 0)
                yield return $"security groups: {string.Join(", ", status.SecurityGroups.Select(group => $"{group.Name} {group.Id}"))}";
        }

        yield return "";
        yield return "NODE     ENI             LINK   STATE     PRIMARY         ADDR  "
            + $"{(status.Cloud == LabCloud.Gce ? "RNG" : "/28")}  PODS  SPOOFED";
        foreach (var (node, eni) in status.Nodes.SelectMany(node => node.Enis.Select(eni => (node, eni))))
        {
            yield return $"{node.Name, -8} {Truncate(eni.Id, 15), -15} {eni.Link, -6} {eni.AttachmentState, -9} {eni.PrimaryAddress, -15} "
                + $"{eni.SecondaryAddresses.Count, 4} {eni.Prefixes.Count, 4} {eni.Pods, 5} {eni.Spoofed.Packets, 8}";
        }

        if (status.VpcIpv6Range is not null)
        {
            yield return "";
            yield return "NODE     LINK   IPV6 ADDRESS OR /80 PREFIX";
            foreach (var (node, eni) in status.Nodes.SelectMany(node => node.Enis.Select(eni => (node, eni))))
            {
                foreach (var range in eni.Ipv6Addresses.Concat(eni.Ipv6Prefixes))
                    yield return $"{node.Name, -8} {eni.Link, -6} {range}";
            }
        }

        var pods = status.Nodes.SelectMany(node => node.Pods.Select(pod => (Node: node, Pod: pod))).ToArray();
        if (pods.Length > 0)
        {
            yield return "";
            var width = Math.Max(15, pods.Take(MaxPodsShown).Max(pod => AddressesOf(pod.Pod).Length));
            yield return $"NODE     POD                              {"ADDRESS".PadRight(width)} LINK     ADD ms";
            foreach (var (node, pod) in pods.Take(MaxPodsShown))
            {
                var link = node.Enis.FirstOrDefault(eni => eni.Id == pod.EniId)?.Link ?? "none";
                yield return $"{node.Name, -8} {Truncate(pod.Name, 32), -32} {AddressesOf(pod).PadRight(width)} {link, -6} "
                    + $"{pod.AddMilliseconds, 8:F1}";
            }

            if (pods.Length > MaxPodsShown)
                yield return $"... and {pods.Length - MaxPodsShown} more (--json shows all)";
        }

        yield return "";
        yield return $"dropped packets: {status.DroppedUnowned.Packets} for unowned addresses, "
            + $"{status.DroppedInternetOutbound.Packets} to and {status.DroppedInternetInbound.Packets} from the internet";
        yield return $"{(status.Cloud == LabCloud.Aws ? "EC2" : "API")} calls: "
            + (status.CloudCalls.Count == 0 ? "none" : $"{status.CloudCalls.Sum(call => call.Count)}");
        foreach (var call in status.CloudCalls)
            yield return $"  {call.Operation, -34} {call.Outcome, -34} {call.Count, 7}";
        foreach (var fault in status.Faults)
            yield return $"armed: {fault.Operation} returns {fault.Code} "
                + $"{(fault.Times is { } times ? $"{times} more times" : "until cleared")}"
                + $"{(fault.AfterEffect ? ", after the call takes effect" : "")}";
        foreach (var fault in status.Kubernetes?.Faults ?? [])
            yield return $"armed: Kubernetes API, {fault.Verb} {fault.Resource}: {fault.Kind} {fault.Code} "
                + $"{(fault.Times is { } times ? $"{times} more times" : "until cleared")}";
    }

    private static string AddressesOf(PodStatus pod) => pod.Addresses.Count > 0 ? string.Join(',', pod.Addresses) : pod.Address;

    private static string Truncate(string text, int length) => text.Length <= length ? text : text[..(length - 1)] + "~";
}
