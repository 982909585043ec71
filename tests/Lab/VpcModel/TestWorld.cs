// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Time.Testing;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Lab.Tests.VpcModel;

/// <summary>A small world for tests: a VPC with both families, a subnet in each of two zones, a security group, and a clock.</summary>
internal sealed class TestWorld
{
    public TestWorld(WorldOptions? options = null, int seed = 1, string subnet = "10.0.1.0/24", FakeTimeProvider? time = null)
    {
        Time = time ?? new FakeTimeProvider(Start);
        World = new VpcWorld(Time, new Random(seed), options);
        Vpc = World.CreateVpc(IPNetwork.Parse("10.0.0.0/16"), IPNetwork.Parse("2600:1f14:0:100::/56"));
        SubnetA = World.CreateSubnet(Vpc.Id, "us-west-2a", IPNetwork.Parse(subnet), IPNetwork.Parse("2600:1f14:0:101::/64"));
        SubnetB = World.CreateSubnet(Vpc.Id, "us-west-2b", IPNetwork.Parse("10.0.240.0/24"));
        Group = World.CreateSecurityGroup(Vpc.Id, "nodes");
        World.Subscribe(Events.Add);
    }

    public static DateTimeOffset Start { get; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public FakeTimeProvider Time { get; }
    public VpcWorld World { get; }
    public Vpc Vpc { get; }
    public Subnet SubnetA { get; }
    public Subnet SubnetB { get; }
    public SecurityGroup Group { get; }
    public List<VpcEvent> Events { get; } = [];

    public Instance Launch(string type = "m5.large", SubnetId? subnet = null) =>
        World.LaunchInstance(
            new LaunchRequest
            {
                InstanceType = type,
                Subnet = subnet ?? SubnetA.Id,
                Groups = [Group.Id],
            }
        );

    public NetworkInterface Create(AddressRequest? ipv4 = null, SubnetId? subnet = null, string? token = null, string description = "") =>
        World.CreateNetworkInterface(
            new CreateInterfaceRequest
            {
                Subnet = subnet ?? SubnetA.Id,
                Groups = [Group.Id],
                Ipv4 = ipv4 ?? AddressRequest.None,
                ClientToken = token,
                Description = description,
            }
        );

    public NetworkInterface CreateAttached(Instance instance, int device, AddressRequest? ipv4 = null)
    {
        var eni = Create(ipv4, instance.Subnet);
        World.AttachNetworkInterface(new AttachInterfaceRequest(eni.Id, instance.Id, device));
        return World.FindInterface(eni.Id)!;
    }

    public NetworkInterface Current(EniId id) => World.FindInterface(id) ?? throw new InvalidOperationException($"{id} does not exist");

    /// <summary>Asserts that a call fails with this code and changes nothing.</summary>
    public Ec2FaultException AssertRejected(string code, Action call)
    {
        var before = World.Interfaces.ToArray();
        var free = World.Subnets.Select(subnet => World.FreeAddresses(subnet.Id)).ToArray();
        var events = Events.Count;
        var fault = Assert.Throws<Ec2FaultException>(call);
        Assert.Equal(code, fault.Code);
        Assert.Equal(before, World.Interfaces);
        Assert.Equal(free, World.Subnets.Select(subnet => World.FreeAddresses(subnet.Id)));
        Assert.Equal(events, Events.Count);
        return fault;
    }

    public void Check() => Assert.Empty(WorldInvariants.Check(World));
}
