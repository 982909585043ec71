// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// Common instance types with their real limits (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/AvailableIpPerENI.html and
/// DescribeInstanceTypes). Tests can pass other types to a world (<see cref="WorldOptions.InstanceTypes"/>).
/// </summary>
public static class InstanceTypeCatalog
{
    public static IReadOnlyDictionary<string, InstanceType> Common { get; } =
        new[]
        {
            Nitro("t3.nano", 2, 2, vcpus: 2, gib: 0.5),
            Nitro("t3.micro", 2, 2, vcpus: 2, gib: 1),
            Nitro("t3.small", 3, 4, vcpus: 2, gib: 2),
            Nitro("t3.medium", 3, 6, vcpus: 2, gib: 4),
            Nitro("t3.large", 3, 12, vcpus: 2, gib: 8),
            Nitro("t3.xlarge", 4, 15, vcpus: 4, gib: 16),
            Nitro("t3.2xlarge", 4, 15, vcpus: 8, gib: 32),
            Nitro("t4g.medium", 3, 6, vcpus: 2, gib: 4),
            Nitro("m5.large", 3, 10, vcpus: 2, gib: 8),
            Nitro("m5.xlarge", 4, 15, vcpus: 4, gib: 16),
            Nitro("m5.2xlarge", 4, 15, vcpus: 8, gib: 32),
            Nitro("m5.4xlarge", 8, 30, vcpus: 16, gib: 64),
            Nitro("m5.12xlarge", 8, 30, vcpus: 48, gib: 192),
            Nitro("m5.24xlarge", 15, 50, vcpus: 96, gib: 384),
            Nitro("m5.metal", 15, 50, vcpus: 96, gib: 384) with
            {
                Hypervisor = Hypervisor.None,
            },
            Nitro("c5.large", 3, 10, vcpus: 2, gib: 4),
            Nitro("c5.xlarge", 4, 15, vcpus: 4, gib: 8),
            Nitro("c5.4xlarge", 8, 30, vcpus: 16, gib: 32),
            Nitro("r5.large", 3, 10, vcpus: 2, gib: 16),
            Nitro("m6i.large", 3, 10, vcpus: 2, gib: 8),
            Nitro("m6i.xlarge", 4, 15, vcpus: 4, gib: 16),
            Nitro("m6i.4xlarge", 8, 30, vcpus: 16, gib: 64),
            Nitro("p3dn.24xlarge", 15, 50, vcpus: 96, gib: 768),
            Nitro("p4d.24xlarge", 60, 50, vcpus: 96, gib: 1152) with
            {
                NetworkCards = [new(0, 15), new(1, 15), new(2, 15), new(3, 15)],
            },
            Xen("t2.micro", 2, 2, ipv6: 2, vcpus: 1, gib: 1),
            Xen("t2.medium", 3, 6, ipv6: 6, vcpus: 2, gib: 4),
            Xen("m4.large", 2, 10, ipv6: 10, vcpus: 2, gib: 8),
            Xen("m4.4xlarge", 8, 30, ipv6: 30, vcpus: 16, gib: 64),
            Xen("m3.medium", 2, 6, ipv6: 0, vcpus: 1, gib: 3.75),
        }.ToFrozenDictionary(type => type.Name, StringComparer.Ordinal);

    private static InstanceType Nitro(string name, int interfaces, int addresses, int vcpus, double gib) =>
        new()
        {
            Name = name,
            MaxInterfaces = interfaces,
            Ipv4PerInterface = addresses,
            Ipv6PerInterface = addresses,
            Hypervisor = Hypervisor.Nitro,
            Vcpus = vcpus,
            MemoryMib = (int)(gib * 1024),
            NetworkCards = [new NetworkCard(0, interfaces)],
        };

    private static InstanceType Xen(string name, int interfaces, int addresses, int ipv6, int vcpus, double gib) =>
        Nitro(name, interfaces, addresses, vcpus, gib) with
        {
            Hypervisor = Hypervisor.Xen,
            Ipv6PerInterface = ipv6,
        };
}
