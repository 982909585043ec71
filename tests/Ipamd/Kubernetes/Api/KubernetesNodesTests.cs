// SPDX-License-Identifier: Apache-2.0
using Microsoft.AspNetCore.Http;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Kubernetes.Api;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes.Api;

/// <summary>Tests the port with the client package and a real HTTP server.</summary>
public sealed class KubernetesNodesTests
{
    private const string Cordoned =
        """{"metadata":{"name":"n","uid":"u","resourceVersion":"8","labels":{"topology.kubernetes.io/zone":"a"},"annotations":{"x":"y"} },"""
        + """ "spec":{"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]},"status":{"capacity":{"pods":"29"} } }""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Node_is_listed_by_name_with_the_fields_of_the_pool()
    {
        var (listed, urls) = await ListAsync(context =>
            context.Response.WriteAsync($$"""{"metadata":{"resourceVersion":"12"},"items":[{{Cordoned}}]}""")
        );
        Assert.Equal("12", listed.Version);
        Assert.Equal(
            ("u", 29, true, "a", "y"),
            (
                listed.Item!.Uid,
                listed.Item.MaxPods,
                listed.Item.IsUnschedulable,
                listed.Item.Labels["topology.kubernetes.io/zone"],
                listed.Item.Annotations["x"]
            )
        );
        Assert.Equal(["/api/v1/nodes?fieldSelector=metadata.name%3Dn&resourceVersion=0&watch=false"], urls);
    }

    [Theory]
    [InlineData("""{"metadata":{"resourceVersion":"12"},"items":[]}""")]
    [InlineData("""{"metadata":{"resourceVersion":"12"},"items":[{"metadata":{"name":"other"}}]}""")]
    public async Task Node_that_is_not_in_the_list_is_null(string body) =>
        Assert.Equal(new ListedObject<NodeFacts>(null, "12"), (await ListAsync(context => context.Response.WriteAsync(body))).Listed);

    [Theory]
    [InlineData("""{"metadata":{"name":"n"},"status":{"capacity":{"pods":"0"}}}""")]
    [InlineData("""{"metadata":{"name":"n"},"status":{"capacity":{"pods":"5E"}}}""")]
    [InlineData("""{"metadata":{"name":"n"},"spec":{"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoExecute"}]}}""")]
    [InlineData("""{"metadata":{"name":"n"}}""")]
    public async Task Node_without_usable_fields_has_no_capacity_and_no_cordon(string node)
    {
        var (listed, _) = await ListAsync(context =>
            context.Response.WriteAsync($$"""{"metadata":{"resourceVersion":"12"},"items":[{{node}}]}""")
        );
        Assert.Equal((null, false), (listed.Item!.MaxPods, listed.Item.IsUnschedulable));
    }

    [Theory]
    [InlineData("""{"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]}""")]
    [InlineData("""{"unschedulable":true}""")]
    public async Task Node_with_the_field_or_the_taint_is_cordoned(string spec)
    {
        var (listed, _) = await ListAsync(context =>
            context.Response.WriteAsync("""{"metadata":{"resourceVersion":"12"},"items":[{"metadata":{"name":"n"},"spec":""" + spec + "}]}")
        );
        Assert.True(listed.Item!.IsUnschedulable);
    }

    public static TheoryData<int, string, string, string, int?> Rejections =>
        new()
        {
            { 410, "Expired", nameof(ClusterErrorKind.Expired), "", null },
            { 404, "NotFound", nameof(ClusterErrorKind.NotFound), "", null },
            { 403, "Forbidden", nameof(ClusterErrorKind.NotPermitted), "", null },
            { 401, "Unauthorized", nameof(ClusterErrorKind.NotPermitted), "", null },
            { 429, "TooManyRequests", nameof(ClusterErrorKind.Throttled), "12", 12 },
            { 503, "ServiceUnavailable", nameof(ClusterErrorKind.Unreachable), "3", 3 },
            { 500, "InternalError", nameof(ClusterErrorKind.Unreachable), "Wed, 21 Oct 2026 07:28:00 GMT", null },
            { 422, "Invalid", nameof(ClusterErrorKind.Refused), "", null },
            { 302, "Found", nameof(ClusterErrorKind.Unreadable), "", null },
        };

    [Theory]
    [MemberData(nameof(Rejections))]
    public async Task Error_response_has_kind_message_and_retry_after(int code, string reason, string kind, string retryAfter, int? seconds)
    {
        var failure = await Assert.ThrowsAsync<ClusterException>(() =>
            ListAsync(context =>
            {
                if (retryAfter.Length > 0)
                    context.Response.Headers.RetryAfter = retryAfter;
                return ApiServerStub.RejectAsync(context, code, reason, "the server's words");
            })
        );
        Assert.Equal((kind, seconds), (failure.Kind.ToString(), (int?)failure.RetryAfter?.TotalSeconds));
        Assert.Equal($"list node n: HTTP {code}: the server's words", failure.Message);
    }

    [Fact]
    public async Task Version_that_the_server_has_not_reached_is_expired()
    {
        var failure = await Assert.ThrowsAsync<ClusterException>(() =>
            ListAsync(context => ApiServerStub.RejectAsync(context, 504, "Timeout", "Timeout: Too large resource version: 12, current: 5"))
        );
        Assert.Equal(ClusterErrorKind.Expired, failure.Kind);
    }

    [Theory]
    [InlineData("<html>sign in</html>")]
    [InlineData("{}")]
    [InlineData("""{"metadata":{},"items":[]}""")]
    public async Task Success_without_a_list_is_unreadable(string body)
    {
        var failure = await Assert.ThrowsAsync<ClusterException>(() => ListAsync(context => context.Response.WriteAsync(body)));
        Assert.Equal(ClusterErrorKind.Unreadable, failure.Kind);
    }

    [Fact]
    public async Task Server_that_does_not_listen_is_unreachable()
    {
        using var connection = new KubernetesConnection(
            new ClusterOptions { Endpoint = new Uri("http://127.0.0.1:1"), NodeName = "n" },
            "test",
            TimeProvider.System
        );
        var failure = await Assert.ThrowsAsync<ClusterException>(() => new KubernetesNodes(connection).ListAsync("n", "0", Token));
        Assert.Equal(ClusterErrorKind.Unreachable, failure.Kind);
    }

    [Fact]
    public async Task Missing_service_account_file_is_unreachable_and_named()
    {
        using var connection = new KubernetesConnection(
            new ClusterOptions
            {
                Endpoint = new Uri("https://127.0.0.1:1"),
                NodeName = "n",
                ServiceAccountPath = "/nowhere",
            },
            "test",
            TimeProvider.System
        );
        var failure = await Assert.ThrowsAsync<ClusterException>(() => new KubernetesNodes(connection).ListAsync("n", "0", Token));
        Assert.Equal(ClusterErrorKind.Unreachable, failure.Kind);
        Assert.Contains("/nowhere/ca.crt", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watch_reports_changes_bookmarks_and_deletion()
    {
        var (events, failure) = await WatchAsync(
            Line("MODIFIED", Cordoned),
            Line("BOOKMARK", """{"metadata":{"resourceVersion":"9"} }"""),
            Line("ADDED", """{"metadata":{"name":"other","resourceVersion":"10"} }"""),
            Line("DELETED", Cordoned.Replace("\"8\"", "\"11\"", StringComparison.Ordinal))
        );
        Assert.Null(failure);
        Assert.Equal(
            [("8", true, false), ("9", false, true), ("10", false, true), ("11", false, false)],
            events.Select(item => (item.Version, item.Item is not null, item.IsBookmark))
        );
    }

    [Theory]
    [InlineData("""{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"too old"} }""", nameof(ClusterErrorKind.Expired))]
    [InlineData(
        """{"type":"ERROR","object":{"code":500,"reason":"InternalError","message":"no"} }""",
        nameof(ClusterErrorKind.Unreachable)
    )]
    [InlineData("<html>", nameof(ClusterErrorKind.Unreadable))]
    [InlineData("""{"type":"ADDED","object":{"metadata":{"name":"n"} } }""", nameof(ClusterErrorKind.Unreadable))]
    public async Task First_error_in_a_watch_ends_it(string line, string kind)
    {
        var (events, failure) = await WatchAsync(line, Line("ADDED", Cordoned));
        Assert.Empty(events);
        Assert.Equal(kind, failure?.Kind.ToString());
    }

    [Fact]
    public async Task Endless_garbage_ends_the_watch_at_its_first_line()
    {
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            var garbage = System.Text.Encoding.ASCII.GetBytes(new string('x', 100) + "\n");
            while (!context.RequestAborted.IsCancellationRequested)
                await context.Response.Body.WriteAsync(garbage, context.RequestAborted);
        });
        var failure = await Assert.ThrowsAsync<ClusterException>(() => WatchAsync(server, TimeProvider.System, _ => { }, Token));
        Assert.Equal(ClusterErrorKind.Unreadable, failure.Kind);
    }

    [Fact]
    public async Task Watch_that_the_server_does_not_end_is_ended_30_seconds_late()
    {
        var time = new ManualTimeProvider();
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        var watching = WatchAsync(server, time, _ => { }, Token);
        await Eventually.TrueAsync(() => server.Arrivals.Count == 1);
        time.Advance(TimeSpan.FromSeconds(329));
        Assert.False(watching.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        var failure = await Assert.ThrowsAsync<ClusterException>(() => watching.WaitAsync(TimeSpan.FromSeconds(10), Token));
        Assert.Equal(ClusterErrorKind.Unreachable, failure.Kind);
        Assert.Equal(
            "/api/v1/nodes?allowWatchBookmarks=true&fieldSelector=metadata.name%3Dn&resourceVersion=7&timeoutSeconds=300&watch=true",
            server.Arrivals.Single().Url
        );
    }

    private static async Task<(ListedObject<NodeFacts> Listed, string[] Urls)> ListAsync(RequestDelegate answer)
    {
        await using var server = await ApiServerStub.StartAsync(answer);
        using var connection = To(server);
        return (await new KubernetesNodes(connection).ListAsync("n", "0", Token), [.. server.Arrivals.Select(arrival => arrival.Url)]);
    }

    private static async Task<(List<ObjectEvent<NodeFacts>> News, ClusterException? Failure)> WatchAsync(params string[] lines)
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            context.Response.WriteAsync(string.Concat(lines.Select(line => line + "\n")))
        );
        List<ObjectEvent<NodeFacts>> events = [];
        try
        {
            await WatchAsync(server, TimeProvider.System, events.Add, Token);
            return (events, null);
        }
        catch (ClusterException failure)
        {
            return (events, failure);
        }
    }

    private static async Task WatchAsync(
        ApiServerStub server,
        TimeProvider time,
        Action<ObjectEvent<NodeFacts>> onEvent,
        CancellationToken cancellationToken
    )
    {
        using var connection = server.Connection(time: time);
        await new KubernetesNodes(connection).WatchAsync("n", "7", TimeSpan.FromMinutes(5), onEvent, cancellationToken);
    }

    private static KubernetesConnection To(ApiServerStub server) =>
        new(new ClusterOptions { Endpoint = new Uri(server.Url), NodeName = "n" }, "test", TimeProvider.System);

    private static string Line(string type, string item) => $$"""{"type":"{{type}}","object":{{item}} }""";
}
