// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.AzureModel;
using Xunit;

namespace VpcCni.Lab.Tests.AzureModel;

/// <summary>A small world for tests: a virtual network with a /26 for nodes and another subnet, a route table, and a time.</summary>
internal sealed class AzureTestWorld
{
    public AzureTestWorld(AzureWorldOptions? options = null)
    {
        World = new AzureWorld(options);
        World.CreateNetwork(Now, "net", IPNetwork.Parse("10.0.0.0/16"));
        Table = World.CreateRouteTable(Now, "routes").Id;
        Subnet = World.CreateSubnet(Now, "net", "nodes", IPNetwork.Parse("10.0.0.0/26"), Table).Id;
        Other = World.CreateSubnet(Now, "net", "other", IPNetwork.Parse("10.0.1.0/24")).Id;
    }

    public AzureWorld World { get; }

    public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public string Table { get; }

    public string Subnet { get; }

    public string Other { get; }

    public long Free => World.FreeAddresses(Subnet);

    public AzureInterface Launch(string name = "node-1", string? scaleSet = null, bool mayForward = false) =>
        World.InterfaceOf(
            World.LaunchMachine(
                Now,
                new AzureLaunchRequest
                {
                    ComputerName = name,
                    Subnet = Subnet,
                    ScaleSet = scaleSet,
                    MayForward = mayForward,
                }
            )
        );

    public AzureInterface Current(AzureInterface nic) => World.FindInterface(nic.Id)!;

    public IEnumerable<string> Ranges(AzureInterface nic) => Current(nic).Configurations.Select(each => each.Range.ToString());

    public IEnumerable<string> Applied(AzureInterface nic) => Current(nic).AppliedRanges.Select(range => range.ToString());

    /// <summary>
    /// PUTs an interface with its primary configuration and others, each as <c>name</c>, <c>name address</c> or <c>name /28</c>.
    /// </summary>
    public AzureChange<AzureInterface> Put(AzureInterface nic, params string[] others) => Put(nic, ifMatch: null, others);

    public AzureChange<AzureInterface> Put(AzureInterface nic, string? ifMatch, string[] others) =>
        World.PutInterface(Now, Request(nic, others) with { IfMatch = ifMatch });

    public AzureInterfaceRequest Request(AzureInterface nic, params string[] others) =>
        new()
        {
            Id = nic.Id,
            Configurations =
            [
                new AzureIpConfigurationRequest
                {
                    Name = "ipconfig1",
                    IsPrimary = true,
                    Subnet = Subnet,
                },
                .. others.Select(Configuration),
            ],
        };

    public AzureFaultException Rejected(string code, Action call)
    {
        var before = (World.Interfaces.ToArray(), World.RouteTables.ToArray(), Free);
        var fault = Assert.Throws<AzureFaultException>(call);
        Assert.Equal(code, fault.Code);
        Assert.Equal(before.Item1, World.Interfaces);
        Assert.Equal(before.Item2, World.RouteTables);
        Assert.Equal(before.Free, Free);
        return fault;
    }

    public AzureIpConfigurationRequest Configuration(string text)
    {
        var parts = text.Split(' ');
        var isBlock = text.EndsWith("/28", StringComparison.Ordinal);
        var address = parts is [_, var second, ..] && second != "/28" ? IPAddress.Parse(second.Split('/')[0]) : null;
        return new AzureIpConfigurationRequest
        {
            Name = parts[0],
            Address = address,
            IsStatic = address is not null,
            PrefixLength = isBlock ? 28 : 32,
            Subnet = Subnet,
        };
    }
}
