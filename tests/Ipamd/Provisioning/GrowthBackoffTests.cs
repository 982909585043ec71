// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Placement;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Provisioning;
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
    public void Throttling_by_the_cloud_backs_off_exponentially()
    {
        var pauses = new List<TimeSpan>();
        for (var time = 0; time < 5; time++)
        {
            _backoff.Failed(
                new CloudException(CloudErrorKind.Throttled, "CreateNetworkInterface", "RequestLimitExceeded", "Request limit exceeded."),
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
        Assert.InRange(pauses[^1], TimeSpan.FromSeconds(8), PoolLimits.LongestBackoff);
    }

    private static CloudException LocalBudgetUsedUp(TimeSpan retryAfter) =>
        new(CloudErrorKind.Throttled, "CreateInterface", ApiRateLimiter.LocalBudgetCode, "used up") { RetryAfter = retryAfter };
}
