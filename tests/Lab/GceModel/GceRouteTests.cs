// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.GceModel;
using VpcCni.Lab.ModelParts;
using Xunit;

namespace VpcCni.Lab.Tests.GceModel;

public sealed class GceRouteTests
{
    private readonly GceTestWorld _test = new();

    [Fact]
    public void Inserted_route_exists_at_the_end_of_its_operation()
    {
        var instance = _test.Launch(canIpForward: true);
        _test.World.Timing.Running = TimeSpan.FromSeconds(1);
        var operation = Insert("r1");
        Assert.Null(operation.Zone);
        _test.Rejected("notFound", () => _test.World.GetRoute(_test.Now, _test.Project, "r1"));
        _test.Rejected("resourceNotReady", () => Insert("r1"));
        _test.Now += TimeSpan.FromSeconds(1);

        var route = _test.World.GetRoute(_test.Now, _test.Project, "r1");
        Assert.Equal(("172.20.1.0/24", 1000), (route.Destination.ToString(), route.Priority));
        Assert.Equal(instance, _test.World.NextHopOf(route));
        _test.Rejected("alreadyExists", () => Insert("r1"));

        _test.World.DeleteInstance(_test.Now, GceTestWorld.Zone, "node-1");
        Assert.Null(_test.World.NextHopOf(route));
        _test.World.DeleteRoute(_test.Now, _test.Project, "r1", requestId: null);
        _test.Now += TimeSpan.FromSeconds(1);
        _test.World.Advance(_test.Now);
        _test.Rejected("notFound", () => _test.World.GetRoute(_test.Now, _test.Project, "r1"));
    }

    [Fact]
    public void Network_has_routes_of_its_own_that_stay()
    {
        var routes = _test.World.ListRoutes(_test.Now, _test.Project);
        Assert.Equal(
            ["0.0.0.0/0", "10.0.0.0/24", "10.4.0.0/20", "10.5.0.0/27"],
            routes.Select(route => route.Destination.ToString()).Order(StringComparer.Ordinal)
        );
        var local = routes.First(route => route.IsSubnetRoute);
        _test.Rejected("invalid", () => _test.World.DeleteRoute(_test.Now, _test.Project, local.Name, requestId: null));
    }

    public sealed record Case(string Name, string Reason, Func<GceRouteRequest, GceRouteRequest> Change)
    {
        public override string ToString() => Name;
    }

    public static TheoryData<Case> Bad { get; } =
    [
        new Case("name with capitals", "invalid", request => request with { Name = "Route" }),
        new Case("unknown network", "notFound", request => request with { Network = "other" }),
        new Case("priority out of range", "invalid", request => request with { Priority = 65_536 }),
        new Case("no next hop", "invalid", request => request with { NextHopInstance = null }),
        new Case("two next hops", "invalid", request => request with { NextHopAddress = IPAddress.Parse("10.0.0.2") }),
        new Case("unknown instance", "notFound", request => request with { NextHopInstance = (GceTestWorld.Zone, "gone") }),
        new Case("within a subnetwork's range", "invalid", request => request with { Destination = IPNetwork.Parse("10.4.1.0/24") }),
        new Case("equal to a subnetwork's range", "invalid", request => request with { Destination = IPNetwork.Parse("10.0.0.0/24") }),
        new Case(
            "next hop address outside",
            "invalid",
            request => request with { NextHopInstance = null, NextHopAddress = IPAddress.Parse("10.9.0.1") }
        ),
    ];

    [Theory]
    [MemberData(nameof(Bad))]
    public void Invalid_routes_are_rejected(Case @case)
    {
        _test.Launch();
        _test.Rejected(@case.Reason, () => _test.World.InsertRoute(_test.Now, _test.Project, @case.Change(Request("r1"))));
    }

    [Fact]
    public void Routes_are_limited_by_the_quota_with_those_in_progress()
    {
        var test = new GceTestWorld(new GceWorldOptions { Routes = 2 });
        test.Launch();
        test.World.Timing.Running = TimeSpan.FromSeconds(1);
        test.World.InsertRoute(test.Now, test.Project, Request("r1"));
        test.World.InsertRoute(test.Now, test.Project, Request("r2"));
        var fault = test.Rejected("quotaExceeded", () => test.World.InsertRoute(test.Now, test.Project, Request("r3")));
        Assert.Equal((HttpStatusCode.Forbidden, "usageLimits"), (fault.Status, fault.Domain));
    }

    [Fact]
    public void Repeated_insert_and_delete_return_their_operations()
    {
        _test.Launch();
        const string Id = "0b4ddbc6-44a5-4b87-8f3c-4e0a4b1d4c11";
        var first = _test.World.InsertRoute(_test.Now, _test.Project, Request("r1") with { RequestId = Id });
        Assert.Equal(first, _test.World.InsertRoute(_test.Now, _test.Project, Request("r1") with { RequestId = Id }));
    }

    [Fact]
    public void Rate_limit_faults_and_log_apply_to_every_method()
    {
        _test.Launch();
        _test.World.RateLimit.Set(1);
        Insert("r1");
        _test.Rejected("rateLimitExceeded", () => Insert("r2"));
        _test.World.RateLimit.Set(null);

        _test.World.Faults.Add(
            new MethodFault
            {
                Method = "routes.insert",
                Code = "forbidden",
                Message = "no",
            }
        );
        Assert.Equal(HttpStatusCode.Forbidden, _test.Rejected("forbidden", () => Insert("r3")).Status);
        _test.World.Faults.Add(
            new MethodFault
            {
                Method = "*",
                Code = "RESOURCE_OPERATION_RATE_EXCEEDED",
                FailsOperation = true,
                Message = "slow down",
            }
        );
        Assert.Equal("slow down", Insert("r4").Failure!.Message);
        Assert.Null(_test.World.Routes.FirstOrDefault(route => route.Name == "r4"));
        _test.World.Faults.Add(
            new MethodFault
            {
                Method = "routes.insert",
                Code = "backendError",
                Message = "lost",
                AfterEffect = true,
            }
        );
        Assert.Throws<GceFaultException>(() => Insert("r5"));
        Assert.NotNull(_test.World.Routes.FirstOrDefault(route => route.Name == "r5"));
        Assert.Empty(_test.World.Faults.Rules);

        Assert.Equal(5, _test.World.Calls.Count("routes.insert"));
        Assert.Equal(1, _test.World.Calls.Counts[("routes.insert", "rateLimitExceeded")]);
        Assert.Equal(2, _test.World.Calls.Counts[("routes.insert", MethodCallLog.Success)]);
    }

    private GceOperation Insert(string name) => _test.World.InsertRoute(_test.Now, _test.Project, Request(name));

    private static GceRouteRequest Request(string name) =>
        new()
        {
            Name = name,
            Network = "net",
            Destination = IPNetwork.Parse("172.20.1.0/24"),
            NextHopInstance = (GceTestWorld.Zone, "node-1"),
        };
}
