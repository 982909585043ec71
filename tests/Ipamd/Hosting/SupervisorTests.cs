// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Hosting;
using VpcCni.Logging;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Hosting;

/// <summary>A failing background service must not end the daemon.</summary>
public sealed class SupervisorTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly Supervisor _parts;
    private int _begun;

    public SupervisorTests() => _parts = new Supervisor(_time, NullLogger.Instance);

    [Fact]
    public async Task Failed_service_is_reported_and_restarted_after_a_minute()
    {
        using var stop = new CancellationTokenSource();
        var kept = _parts.RunAsync(
            "metrics",
            token => _begun++ == 0 ? throw new InvalidOperationException("a null") : Task.Delay(Timeout.Infinite, token),
            stop.Token
        );
        Assert.Contains("metrics failed because of a defect", _parts.Problem, StringComparison.Ordinal);
        Assert.Contains("a null", _parts.Problem, StringComparison.Ordinal);
        _time.Advance(Supervisor.Pause - TimeSpan.FromSeconds(1));
        Assert.Equal((1, false), (_begun, kept.IsCompleted));
        _time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => _begun == 2 && _parts.Problem is null);
        await stop.CancelAsync();
        await kept;
    }

    [Fact]
    public async Task Service_that_returns_early_is_reported()
    {
        using var stop = new CancellationTokenSource();
        var kept = _parts.RunAsync("metrics", _ => Task.CompletedTask, stop.Token);
        Assert.Contains("returned early", _parts.Problem, StringComparison.Ordinal);
        await stop.CancelAsync();
        await kept;
    }

    [Fact]
    public async Task Cancelled_service_is_not_reported()
    {
        using var stop = new CancellationTokenSource();
        var kept = _parts.RunAsync("metrics", token => Task.Delay(Timeout.Infinite, token), stop.Token);
        await stop.CancelAsync();
        await kept;
        Assert.Null(_parts.Problem);
    }

    [Fact]
    public void Long_message_is_truncated()
    {
        _ = _parts.RunAsync(
            "metrics",
            _ => throw new InvalidOperationException(new string('x', 5000)),
            TestContext.Current.CancellationToken
        );
        Assert.InRange(_parts.Problem!.Length, Truncate.Longest, Truncate.Longest + 150);
    }
}
