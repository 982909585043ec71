// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.GceModel;
using Xunit;

namespace VpcCni.Lab.Tests.GceModel;

/// <summary>A small world for tests: a network with a subnetwork, which has a /20 and a /27 for pods, and a time.</summary>
internal sealed class GceTestWorld
{
    public const string Zone = "us-central1-a";
    public const string Region = "us-central1";

    public GceTestWorld(GceWorldOptions? options = null)
    {
        World = new GceWorld(options);
        World.CreateNetwork(Now, "net");
        World.CreateSubnetwork(
            Now,
            "net",
            Region,
            "nodes",
            IPNetwork.Parse("10.0.0.0/24"),
            [new GceSecondaryRange("pods", IPNetwork.Parse("10.4.0.0/20")), new GceSecondaryRange("few", IPNetwork.Parse("10.5.0.0/27"))]
        );
    }

    public GceWorld World { get; }

    public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public string Project => World.Options.Project;

    public GceInstance Launch(string name = "node-1", bool canIpForward = false) =>
        World.LaunchInstance(
            Now,
            new GceLaunchRequest
            {
                Name = name,
                Zone = Zone,
                Subnetwork = "nodes",
                CanIpForward = canIpForward,
            }
        );

    public GceInstance Current(string name = "node-1") => World.FindInstance(Zone, name)!;

    public IEnumerable<string> Aliases(string name = "node-1") =>
        Current(name).Interface.AliasRanges.Select(alias => alias.Range.ToString());

    /// <summary>Updates an instance's interface with its current fingerprint, and ranges of <c>cidr</c> or <c>cidr name</c>.</summary>
    public GceOperation Update(string name, params string[] ranges) => Update(name, requestId: null, ranges);

    public GceOperation Update(string name, string? requestId, string[] ranges, string? fingerprint = null) =>
        World.UpdateNetworkInterface(
            Now,
            Project,
            new GceInterfaceUpdate
            {
                Zone = Zone,
                Instance = name,
                Interface = "nic0",
                Fingerprint = fingerprint ?? World.FindInstance(Zone, name)?.Interface.Fingerprint,
                AliasRanges = [.. ranges.Select(Alias)],
                RequestId = requestId,
            }
        );

    public GceFaultException Rejected(string reason, Action call)
    {
        var before = World.Instances.ToArray();
        var routes = World.Routes.ToArray();
        var free = Free();
        var fault = Assert.Throws<GceFaultException>(call);
        Assert.Equal(reason, fault.Reason);
        Assert.Equal(before, World.Instances);
        Assert.Equal(routes, World.Routes);
        Assert.Equal(free, Free());
        return fault;
    }

    /// <summary>Free addresses of the primary range and of the secondary ranges.</summary>
    public (long Primary, long Pods, long Few) Free() =>
        (
            World.FreeAddresses(Region, "nodes", null),
            World.FreeAddresses(Region, "nodes", "pods"),
            World.FreeAddresses(Region, "nodes", "few")
        );

    private static GceAliasRequest Alias(string text) =>
        text.Split(' ') is [var cidr, var name] ? new GceAliasRequest(cidr, name) : new GceAliasRequest(text, RangeName: null);
}
