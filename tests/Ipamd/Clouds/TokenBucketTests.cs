// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds;

public sealed class TokenBucketTests
{
    private readonly TokenBucket _bucket = new(new CallAllowance(Capacity: 10, PerSecond: 2), TimeSpan.Zero);

    [Fact]
    public void Tokens_return_at_the_rate_up_to_the_capacity()
    {
        _bucket.Take(10);
        Assert.False(_bucket.Has(1));
        Assert.Equal(TimeSpan.FromSeconds(1.5), _bucket.TimeUntil(3));

        _bucket.Refill(Seconds(1.5));
        Assert.True(_bucket.Has(3));
        Assert.False(_bucket.Has(3.01));

        _bucket.Refill(Seconds(3600));
        Assert.Equal(10, _bucket.Tokens);
    }

    [Fact]
    public void Clock_that_stands_still_or_goes_back_adds_no_tokens()
    {
        _bucket.Refill(Seconds(10));
        _bucket.Take(10);

        _bucket.Refill(Seconds(10));
        _bucket.Refill(Seconds(5));

        Assert.Equal(0, _bucket.Tokens);
    }

    [Fact]
    public void Throttling_halves_rate_and_tokens_down_to_an_eighth_of_the_rate()
    {
        _bucket.Throttled(began: Seconds(0), now: Seconds(1));
        Assert.Equal((1, 5), (_bucket.Rate, _bucket.Tokens));

        for (var second = 2; second < 10; second++)
            _bucket.Throttled(began: Seconds(second), now: Seconds(second));
        Assert.Equal(0.25, _bucket.Rate);
    }

    [Fact]
    public void Concurrent_throttled_calls_halve_the_rate_once()
    {
        for (var call = 0; call < 5; call++)
            _bucket.Throttled(began: Seconds(0), now: Seconds(1));

        Assert.Equal(1, _bucket.Rate);
    }

    [Fact]
    public void Success_restores_a_tenth_of_the_rate_unless_begun_before_throttling()
    {
        _bucket.Throttled(began: Seconds(0), now: Seconds(1));

        _bucket.Succeeded(began: Seconds(0));
        Assert.Equal(1, _bucket.Rate);
        for (var call = 1; call <= 3; call++)
            _bucket.Succeeded(began: Seconds(1));
        Assert.Equal(1.6, _bucket.Rate, 1e-9);
        for (var call = 0; call < 20; call++)
            _bucket.Succeeded(began: Seconds(2));
        Assert.Equal(2, _bucket.Rate);
    }

    [Fact]
    public void Full_rate_returns_within_five_minutes_without_calls()
    {
        for (var second = 0; second < 10; second++)
            _bucket.Throttled(began: Seconds(second), now: Seconds(second));
        var slowest = _bucket.Rate;

        _bucket.Refill(Seconds(9 + 30));
        Assert.Equal(slowest + 0.2, _bucket.Rate, 1e-9);
        _bucket.Refill(Seconds(9 + 300));
        Assert.Equal(2, _bucket.Rate);
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);
}
