// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Tests injected faults of the Kubernetes API.</summary>
public sealed class KubeFaultTests
{
    private const string Nodes = "/api/v1/nodes";

    [Fact]
    public async Task Status_fault_applies_to_matching_requests_the_given_number_of_times()
    {
        await using var host = await KubeHost.StartAsync();
        host.Plane.Faults.Arm(
            new KubeFault
            {
                Kind = KubeFaultKind.Status,
                Code = 429,
                RetryAfter = TimeSpan.FromSeconds(7),
                Verb = "list",
                Resource = "nodes",
                Times = 2,
            }
        );
        Assert.Equal(HttpStatusCode.OK, (await host.GetAsync("/api/v1/pods")).Status);
        for (var count = 0; count < 2; count++)
        {
            var rejected = await host.GetAsync(Nodes);
            Assert.Equal(
                (HttpStatusCode.TooManyRequests, "TooManyRequests", TimeSpan.FromSeconds(7)),
                (rejected.Status, rejected.Reason, rejected.RetryAfter)
            );
        }

        Assert.Equal(HttpStatusCode.OK, (await host.GetAsync(Nodes)).Status);
        Assert.Empty(host.Plane.Faults.Armed);
    }

    [Fact]
    public async Task Garbage_and_truncated_faults_return_invalid_json()
    {
        await using var host = await KubeHost.StartAsync();
        host.Plane.Faults.Arm(new KubeFault { Kind = KubeFaultKind.Garbage });
        await Assert.ThrowsAnyAsync<JsonException>(() => host.GetAsync(Nodes));
        host.Plane.Faults.Arm(new KubeFault { Kind = KubeFaultKind.Truncated });
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => host.GetAsync(Nodes));
        host.Plane.Faults.Arm(new KubeFault { Kind = KubeFaultKind.Broken });
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => host.GetAsync(Nodes));
    }

    [Fact]
    public async Task Lost_answer_fault_lets_the_request_take_effect()
    {
        await using var host = await KubeHost.StartAsync();
        host.Plane.Faults.Arm(new KubeFault { Kind = KubeFaultKind.LostAnswer, Verb = "create" });
        await Assert.ThrowsAnyAsync<HttpRequestException>(() =>
            host.SendAsync(HttpMethod.Post, Nodes, """{"metadata":{"name":"node-1"}}""")
        );
        Assert.NotNull(host.Store.Find(BuiltInTypes.Nodes, "", "node-1"));
    }

    [Fact]
    public async Task Closed_watch_is_aborted_and_a_new_one_can_open()
    {
        await using var host = await KubeHost.StartAsync();
        using var watch = await host.WatchAsync(Nodes);
        await Eventually.TrueAsync(() => host.Plane.Watches.Count == 1);
        host.Plane.Watches.CloseAll();
        await Assert.ThrowsAnyAsync<IOException>(watch.LineAsync);
        await Eventually.TrueAsync(() => host.Plane.Watches.Count == 0);
        host.Store.Create(BuiltInTypes.Nodes, "", new JsonObject { ["metadata"] = new JsonObject { ["name"] = "node-1" } });
        using var next = await host.WatchAsync(Nodes);
        Assert.Equal("ADDED node-1", await next.NextAsync());
    }

    [Fact]
    public async Task Watch_with_a_garbage_fault_ends_after_it()
    {
        await using var host = await KubeHost.StartAsync();
        host.Plane.Faults.Arm(new KubeFault { Kind = KubeFaultKind.Garbage, Verb = "watch" });
        using var watch = await host.WatchAsync(Nodes);
        var line = await watch.LineAsync();
        Assert.ThrowsAny<JsonException>(() => JsonNode.Parse(line!));
        Assert.Null(await watch.LineAsync());
    }

    [Fact]
    public async Task Stalled_watch_sends_nothing_until_it_is_closed()
    {
        await using var host = await KubeHost.StartAsync();
        host.Store.Create(BuiltInTypes.Nodes, "", new JsonObject { ["metadata"] = new JsonObject { ["name"] = "node-1" } });
        host.Plane.Faults.Arm(new KubeFault { Kind = KubeFaultKind.Stalled, Verb = "watch" });
        using var watch = await host.WatchAsync(Nodes);
        var line = watch.LineAsync();
        await Eventually.TrueAsync(() => host.Plane.Watches.Count == 1);
        Assert.False(line.IsCompleted);
        host.Plane.Watches.CloseAll();
        await Eventually.TrueAsync(() => line.IsCompleted);
    }

    [Fact]
    public async Task Watch_beyond_the_limit_is_rejected()
    {
        await using var host = await KubeHost.StartAsync(api: new KubeApiOptions { MaxWatches = 1 });
        using var first = await host.WatchAsync(Nodes);
        using var second = await host.WatchAsync(Nodes);
        Assert.Equal(HttpStatusCode.TooManyRequests, second.Status);
    }

    [Fact]
    public void Fault_that_can_never_apply_is_rejected()
    {
        var faults = new KubeFaults();
        Assert.Throws<ArgumentException>(() => faults.Arm(new KubeFault { Kind = KubeFaultKind.Status, Code = 200 }));
        Assert.Throws<ArgumentException>(() => faults.Arm(new KubeFault { Kind = KubeFaultKind.Garbage, Times = 0 }));
        Assert.Throws<ArgumentException>(() => faults.Arm(new KubeFault { Kind = KubeFaultKind.Slow, Delay = TimeSpan.FromHours(1) }));
        Assert.Empty(faults.Armed);
    }
}
