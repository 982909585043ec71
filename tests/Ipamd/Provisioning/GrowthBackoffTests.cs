// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Provisioning;

public sealed class GrowthBackoffTests
{
    private static readonly NetworkInterfaceId Eni = new("eni-1");
    private static readonly BlockRequest Blocks = new(Shapes.Ipv4Address, 2);

    private readonly ManualTimeProvider _time = new();
    private readonly SubnetSupply _supply;
    private readonly GrowthBackoff _backoff;

    public GrowthBackoffTests()
    {
        _supply = new SubnetSupply(_time);
        _backoff = new GrowthBackoff(_supply, _time, new Random(1));
    }

    [Fact]
    public void Local_budget_for_an_interface_blocks_new_interfaces_until_its_tokens()
    {
        _backoff.Failed(LocalBudgetUsedUp(TimeSpan.FromSeconds(12)), target: null, "subnet-1", Blocks, () => false);

        var view = _backoff.View();
        Assert.Null(view.Everything);
        Assert.Equal(
            (GrowthObstacleKind.Throttled, _time.GetUtcNow() + TimeSpan.FromSeconds(12)),
            (view.NewInterfaces!.Kind, view.NewInterfaces.Until)
        );
        _time.Advance(TimeSpan.FromSeconds(12));
        Assert.Null(_backoff.View().NewInterfaces);
    }

    [Fact]
    public void Local_budget_for_blocks_blocks_all_growth_until_its_tokens()
    {
        _backoff.Failed(LocalBudgetUsedUp(TimeSpan.FromSeconds(11)), Eni, "subnet-1", Blocks, () => false);

        Assert.Equal(_time.GetUtcNow() + TimeSpan.FromSeconds(11), _backoff.View().Everything!.Until);
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Null(_backoff.View().Everything);
    }

    [Fact]
    public void Failure_of_the_kernel_blocks_new_interfaces_only_and_one_of_the_disk_everything()
    {
        _backoff.Failed(new ChangeFailure.Kernel(new HostNetworkException("no link")), target: null, "subnet-1", Blocks, () => false);
        Assert.Equal((null, GrowthObstacleKind.HostNetwork), (_backoff.View().Everything, _backoff.View().NewInterfaces!.Kind));

        _backoff.Failed(new ChangeFailure.Disk(new IOException("full")), Eni, "subnet-1", Blocks, () => false);
        Assert.Equal(GrowthObstacleKind.Disk, _backoff.View().Everything!.Kind);
        Assert.Contains("could not be recorded: full", _backoff.View().Everything!.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Superseded_change_is_no_obstacle()
    {
        _backoff.Failed(new ChangeFailure.Superseded("busy"), Eni, "subnet-1", Blocks, () => false);
        Assert.Equal((null, null, 0), (_backoff.View().Everything, _backoff.View().NewInterfaces, _backoff.View().Interfaces.Count));
    }

    /// <summary>One interface or subnet without IPv6 must not stop the growth of IPv4, nor of the others.</summary>
    [Fact]
    public void Refused_ipv6_concerns_its_interface_or_subnet_alone()
    {
        var ipv6 = new BlockRequest(Shapes.Ipv6Prefix, 1);
        var invalid = new CloudException(CloudErrorKind.Invalid, "AssignIpv6Addresses", "InvalidParameterValue", "no IPv6 range");

        _backoff.Failed(new ChangeFailure.Cloud(invalid), Eni, "subnet-1", ipv6, () => false);
        _backoff.Failed(new ChangeFailure.Cloud(invalid), target: null, "subnet-2", ipv6, () => false);

        var view = _backoff.View();
        Assert.Null(view.Everything);
        Assert.Null(view.NewInterfaces);
        Assert.Equal([(Eni, IpFamily.V6)], view.Interfaces.Keys);
        Assert.NotNull(view.ObstacleFor("subnet-2", Shapes.Ipv6Prefix, isNew: false));
        Assert.NotNull(view.ObstacleFor("subnet-2", Shapes.Ipv6Address, isNew: false));
        Assert.Null(view.ObstacleFor("subnet-2", Shapes.Ipv4Prefix, isNew: true));
    }

    [Fact]
    public void Exhausted_ipv6_says_nothing_of_the_subnets_ipv4_addresses()
    {
        _supply.BeginDescription();
        _supply.Described([new SubnetCandidate("subnet-1", 4000)]);
        var full = new CloudException(CloudErrorKind.SubnetExhausted, "AssignIpv6Addresses", "InsufficientFreeAddressesInSubnet", "full");

        _backoff.Failed(
            new ChangeFailure.Cloud(full),
            Eni,
            "subnet-1",
            new BlockRequest(Shapes.Ipv6Address, 14),
            () => throw new InvalidOperationException()
        );

        Assert.Equal(4000, _supply.Correct(new SubnetCandidate("subnet-1", 4000)).FreeAddresses);
        Assert.Null(_backoff.View().ObstacleFor("subnet-1", Shapes.Ipv4Address, isNew: true));
        Assert.Equal(7, _backoff.View().Subnets[("subnet-1", IpFamily.V6)].AddressesAtOnce);
    }

    [Fact]
    public void Throttling_by_the_cloud_backs_off_exponentially()
    {
        var pauses = new List<TimeSpan>();
        for (var time = 0; time < 5; time++)
        {
            _backoff.Failed(
                new ChangeFailure.Cloud(
                    new CloudException(
                        CloudErrorKind.Throttled,
                        "CreateNetworkInterface",
                        "RequestLimitExceeded",
                        "Request limit exceeded."
                    )
                ),
                target: null,
                "subnet-1",
                Blocks,
                () => false
            );
            pauses.Add(_backoff.View().Everything!.Until!.Value - _time.GetUtcNow());
            _time.Advance(pauses[^1]);
            Assert.Null(_backoff.View().Everything);
        }

        Assert.Equal(pauses.Order(), pauses);
        Assert.InRange(pauses[^1], TimeSpan.FromSeconds(8), PoolLimits.CallRetries.Longest);
    }

    private static ChangeFailure.Cloud LocalBudgetUsedUp(TimeSpan retryAfter) =>
        new(
            new CloudException(CloudErrorKind.Throttled, "CreateInterface", ApiRateLimiter.LocalBudgetCode, "used up")
            {
                RetryAfter = retryAfter,
            }
        );
}
