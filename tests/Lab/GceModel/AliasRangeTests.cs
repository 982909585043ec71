// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.GceModel;
using Xunit;

namespace VpcCni.Lab.Tests.GceModel;

public sealed class AliasRangeTests
{
    private readonly GceTestWorld _test = new();

    public sealed record Case(string Name, string[] Before, string[] Request, string[] After)
    {
        public override string ToString() => Name;
    }

    public static TheoryData<Case> Updates { get; } =
    [
        new Case("a range of a secondary range", [], ["10.4.0.16/28 pods"], ["10.4.0.16/28"]),
        new Case("a single address is a /32", [], ["10.4.0.5 pods"], ["10.4.0.5/32"]),
        new Case(
            "a netmask picks the lowest free range",
            [],
            ["/28 pods", "/30 pods", "/32 pods"],
            ["10.4.0.0/28", "10.4.0.16/30", "10.4.0.20/32"]
        ),
        new Case("a range of the primary range", [], ["10.0.0.32/28"], ["10.0.0.32/28"]),
        new Case("a netmask avoids reserved and taken addresses", [], ["/28"], ["10.0.0.16/28"]),
        new Case(
            "kept, removed and added in one request",
            ["10.4.0.0/28 pods", "10.4.1.0/28 pods"],
            ["10.4.1.0/28 pods", "/28 few"],
            ["10.4.1.0/28", "10.5.0.0/28"]
        ),
        new Case("named ranges come before picked ones", [], ["/28 pods", "10.4.0.0/28 pods"], ["10.4.0.0/28", "10.4.0.16/28"]),
        new Case("an empty list removes all", ["10.4.0.0/28 pods"], [], []),
        new Case("any prefix length", [], ["10.4.8.0/21 pods", "10.4.0.0/31 pods"], ["10.4.8.0/21", "10.4.0.0/31"]),
    ];

    [Theory]
    [MemberData(nameof(Updates))]
    public void Update_replaces_the_alias_ranges(Case @case)
    {
        _test.Launch();
        _test.Update("node-1", @case.Before);
        var operation = _test.Update("node-1", @case.Request);
        Assert.Equal((GceOperationStatus.Done, null), (operation.StatusAt(_test.Now), operation.Failure));
        Assert.Equal(@case.After.Order(), _test.Aliases().Order());
    }

    [Fact]
    public void Update_without_ranges_leaves_them()
    {
        var instance = _test.Launch();
        _test.Update("node-1", "/28 pods");
        _test.World.UpdateNetworkInterface(
            _test.Now,
            _test.Project,
            new GceInterfaceUpdate
            {
                Zone = GceTestWorld.Zone,
                Instance = instance.Name,
                Interface = "nic0",
                Fingerprint = _test.Current().Interface.Fingerprint,
            }
        );
        Assert.Equal(["10.4.0.0/28"], _test.Aliases());
    }

    [Theory]
    [InlineData("10.4.0.1/28 pods", "invalid", "host bits")]
    [InlineData("10.9.0.0/28 pods", "invalid", "outside the range")]
    [InlineData("10.4.0.0/28 unknown", "invalid", "no such range")]
    [InlineData("/19 pods", "invalid", "larger than the range")]
    [InlineData("/33 pods", "invalid", "no such length")]
    [InlineData("10.4.0 pods", "invalid", "an address of three parts")]
    [InlineData("fd00::/64 pods", "invalid", "IPv6")]
    [InlineData(" pods", "invalid", "empty")]
    public void Malformed_ranges_are_rejected(string range, string reason, string why)
    {
        _test.Launch();
        var fault = _test.Rejected(reason, () => _test.Update("node-1", range));
        Assert.True(fault.Message.Contains("resource.aliasIpRanges[0]", StringComparison.Ordinal), $"{why}: {fault.Message}");
    }

    [Fact]
    public void Overlapping_ranges_in_one_request_are_rejected()
    {
        _test.Launch();
        _test.Rejected("invalid", () => _test.Update("node-1", "10.4.0.0/28 pods", "10.4.0.4 pods"));
    }

    [Fact]
    public void Stale_or_missing_fingerprint_is_rejected()
    {
        var first = _test.Launch().Interface.Fingerprint;
        _test.Update("node-1", "/28 pods");
        Assert.NotEqual(first, _test.Current().Interface.Fingerprint);
        var fault = _test.Rejected("conditionNotMet", () => _test.Update("node-1", requestId: null, ["/28 pods"], first));
        Assert.Equal(HttpStatusCode.PreconditionFailed, fault.Status);
        _test.Rejected("conditionNotMet", () => _test.Update("node-1", requestId: null, [], fingerprint: ""));
    }

    [Fact]
    public void Exhausted_range_fails_the_operation_and_changes_nothing()
    {
        _test.Launch();
        _test.Update("node-1", "/28 few");
        var (fingerprint, free) = (_test.Current().Interface.Fingerprint, _test.Free());

        var operation = _test.Update("node-1", "10.5.0.0/28 few", "/28 few", "/28 few");
        Assert.Equal("IP_SPACE_EXHAUSTED_WITH_DETAILS", operation.Failure!.Code);
        Assert.Contains("projects/vpc-lab/regions/us-central1/subnetworks/nodes-few", operation.Failure.Message, StringComparison.Ordinal);
        Assert.Equal(["10.5.0.0/28"], _test.Aliases());
        Assert.Equal((fingerprint, free), (_test.Current().Interface.Fingerprint, _test.Free()));
    }

    [Fact]
    public void Range_of_another_instance_fails_the_operation()
    {
        _test.Launch("node-1");
        _test.Launch("node-2");
        _test.Update("node-1", "10.4.0.0/28 pods");
        var operation = _test.Update("node-2", "10.4.0.4 pods");
        Assert.Equal("IP_IN_USE_BY_ANOTHER_RESOURCE", operation.Failure!.Code);
        Assert.Empty(_test.Aliases("node-2"));

        _test.Update("node-1");
        Assert.Null(_test.Update("node-2", "10.4.0.4 pods").Failure);
    }

    [Fact]
    public void Ranges_of_an_interface_are_limited()
    {
        var test = new GceTestWorld(new GceWorldOptions { AliasRangesPerInterface = 2 });
        test.Launch();
        test.Update("node-1", "/32 pods", "/32 pods");
        test.Rejected("limitExceeded", () => test.Update("node-1", "/32 pods", "/32 pods", "/32 pods"));
    }

    [Fact]
    public void Operation_takes_its_ranges_at_once_and_frees_old_ones_at_its_end()
    {
        _test.Launch();
        _test.Update("node-1", "10.5.0.0/28 few");
        (_test.World.Timing.Pending, _test.World.Timing.Running) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2));
        var fingerprint = _test.Current().Interface.Fingerprint;
        var operation = _test.Update("node-1", "10.5.0.16/28 few");
        Assert.Equal(0, _test.Free().Few);
        Assert.Equal(["10.5.0.0/28"], _test.Aliases());
        _test.Rejected("resourceNotReady", () => _test.Update("node-1"));

        Assert.Equal(GceOperationStatus.Pending, operation.StatusAt(_test.Now));
        _test.Now += TimeSpan.FromSeconds(1);
        Assert.Equal(GceOperationStatus.Running, operation.StatusAt(_test.Now));
        Assert.Equal(_test.Now + TimeSpan.FromSeconds(2), _test.World.NextTransitionAt);
        _test.Now += TimeSpan.FromSeconds(2);
        _test.World.Advance(_test.Now);
        Assert.Equal(GceOperationStatus.Done, operation.StatusAt(_test.Now));
        Assert.Equal(["10.5.0.16/28"], _test.Aliases());
        Assert.Equal(16, _test.Free().Few);
        Assert.NotEqual(fingerprint, _test.Current().Interface.Fingerprint);
        Assert.Null(_test.World.NextTransitionAt);
    }

    [Fact]
    public void Deleted_instance_frees_what_it_had_and_what_its_operation_took()
    {
        _test.Launch();
        var free = _test.Free();
        _test.Update("node-1", "10.4.0.0/28 pods");
        _test.World.Timing.Running = TimeSpan.FromSeconds(1);
        _test.Update("node-1", "10.4.0.0/28 pods", "/28 few");
        _test.World.DeleteInstance(_test.Now, GceTestWorld.Zone, "node-1");
        _test.Now += TimeSpan.FromSeconds(1);
        _test.World.Advance(_test.Now);
        Assert.Equal((free.Primary + 1, free.Pods, free.Few), _test.Free());
    }

    [Fact]
    public void Repeated_request_returns_the_first_operation()
    {
        _test.Launch();
        var requestId = "5d4f0c1e-7a58-4f0e-9a53-0f3f3a3ed6d1";
        var first = _test.Update("node-1", requestId, ["/28 pods"]);
        var second = _test.Update("node-1", requestId, ["/28 pods"], fingerprint: "stale");
        Assert.Equal(first.Name, second.Name);
        Assert.Single(_test.Aliases());
        _test.Rejected("invalidParameter", () => _test.Update("node-1", "not-a-uuid", ["/28 pods"]));
        _test.Rejected("invalidParameter", () => _test.Update("node-1", Guid.Empty.ToString(), ["/28 pods"]));
    }

    [Fact]
    public void Unknown_project_zone_instance_and_interface_are_rejected()
    {
        var instance = _test.Launch();
        _test.Rejected("notFound", () => _test.World.GetInstance(_test.Now, "other", GceTestWorld.Zone, "node-1"));
        _test.Rejected("notFound", () => _test.World.GetInstance(_test.Now, _test.Project, "us-central1-b", "node-1"));
        _test.Rejected("notFound", () => _test.Update("node-9"));
        _test.Rejected(
            "invalid",
            () =>
                _test.World.UpdateNetworkInterface(
                    _test.Now,
                    _test.Project,
                    new GceInterfaceUpdate
                    {
                        Zone = GceTestWorld.Zone,
                        Instance = "node-1",
                        Interface = "nic1",
                        Fingerprint = instance.Interface.Fingerprint,
                    }
                )
        );
    }

    [Fact]
    public void Metadata_lags_behind()
    {
        _test.Launch();
        _test.World.Timing.MetadataLag = TimeSpan.FromSeconds(5);
        _test.Now += TimeSpan.FromSeconds(10);
        _test.Update("node-1", "/28 pods");
        int Shown() => _test.World.DescribeMetadata(_test.Now, GceTestWorld.Zone, "node-1")!.Interface.AliasRanges.Length;
        Assert.Equal(0, Shown());
        _test.Now += TimeSpan.FromSeconds(5);
        Assert.Equal(1, Shown());
    }

    [Fact]
    public void Same_calls_give_the_same_world()
    {
        string Run()
        {
            var test = new GceTestWorld();
            var instance = test.Launch();
            var operation = test.Update("node-1", "/28 pods", "/32 pods");
            var nic = test.Current().Interface;
            return $"{instance.Id} {operation.Name} {operation.Id} {nic.Fingerprint} {string.Join(' ', test.Aliases())}";
        }

        Assert.Equal(Run(), Run());
    }
}
