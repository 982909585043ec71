// SPDX-License-Identifier: Apache-2.0
using Microsoft.AspNetCore.Http;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Kubernetes.Api;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes.Api;

/// <summary>The port on the client and a real HTTP server that says what a test wants.</summary>
public sealed class KubernetesNodesTests
{
    private const string Cordoned =
        """{"metadata":{"name":"n","uid":"u","resourceVersion":"8","labels":{"topology.kubernetes.io/zone":"a"},"annotations":{"x":"y"} },"""
        + """ "spec":{"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]},"status":{"capacity":{"pods":"29"} } }""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Node_is_listed_by_name_with_what_the_pool_wants_to_know()
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
    public async Task Node_that_is_not_in_the_list_is_none(string body) =>
        Assert.Equal(new ListedObject<NodeFacts>(null, "12"), (await ListAsync(context => context.Response.WriteAsync(body))).Listed);

    [Theory]
    [InlineData("""{"metadata":{"name":"n"},"status":{"capacity":{"pods":"0"}}}""")]
    [InlineData("""{"metadata":{"name":"n"},"status":{"capacity":{"pods":"5E"}}}""")]
    [InlineData("""{"metadata":{"name":"n"},"spec":{"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoExecute"}]}}""")]
    [InlineData("""{"metadata":{"name":"n"}}""")]
    public async Task Node_that_says_nothing_usable_has_no_capacity_and_no_cordon(string node)
    {
        var (listed, _) = await ListAsync(context =>
            context.Response.WriteAsync($$"""{"metadata":{"resourceVersion":"12"},"items":[{{node}}]}""")
        );
        Assert.Equal((null, false), (listed.Item!.MaxPods, listed.Item.IsUnschedulable));
    }

    [Theory]
    [InlineData("""{"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]}""")]
    [InlineData("""{"unschedulable":true}""")]
    public async Task Cordon_is_the_field_and_the_taint_that_follows_it(string spec)
    {
        var (listed, _) = await ListAsync(context =>
            context.Response.WriteAsync("""{"metadata":{"resourceVersion":"12"},"items":[{"metadata":{"name":"n"},"spec":""" + spec + "}]}")
        );
        Assert.True(listed.Item!.IsUnschedulable);
    }

    public static TheoryData<int, string, string, string, int?> Refusals =>
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
    [MemberData(nameof(Refusals))]
    public async Task Refusal_says_its_kind_the_servers_words_and_its_wish(
        int code,
        string reason,
        string kind,
        string retryAfter,
        int? seconds
    )
    {
        var failure = await Assert.ThrowsAsync<ClusterException>(() =>
            ListAsync(context =>
            {
                if (retryAfter.Length > 0)
                    context.Response.Headers.RetryAfter = retryAfter;
                return ApiServerStub.RefuseAsync(context, code, reason, "the server's words");
            })
        );
        Assert.Equal((kind, seconds), (failure.Kind.ToString(), (int?)failure.RetryAfter?.TotalSeconds));
        Assert.Equal($"list node n: HTTP {code}: the server's words", failure.Message);
    }

    [Fact]
    public async Task Version_that_the_server_has_not_reached_is_as_good_as_forgotten()
    {
        var failure = await Assert.ThrowsAsync<ClusterException>(() =>
            ListAsync(context => ApiServerStub.RefuseAsync(context, 504, "Timeout", "Timeout: Too large resource version: 12, current: 5"))
        );
        Assert.Equal(ClusterErrorKind.Expired, failure.Kind);
    }

    [Theory]
    [InlineData("<html>sign in</html>")]
    [InlineData("{}")]
    [InlineData("""{"metadata":{},"items":[]}""")]
    public async Task Success_that_is_no_list_is_not_taken_for_an_empty_one(string body)
    {
        var failure = await Assert.ThrowsAsync<ClusterException>(() => ListAsync(context => context.Response.WriteAsync(body)));
        Assert.Equal(ClusterErrorKind.Unreadable, failure.Kind);
    }

    [Fact]
    public async Task Server_that_is_not_there_is_unreachable()
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
    public async Task Service_account_without_files_is_unreachable_and_names_the_file()
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
    public async Task Watch_tells_changes_bookmarks_and_the_end_of_the_object()
    {
        var (news, failure) = await WatchAsync(
            Line("MODIFIED", Cordoned),
            Line("BOOKMARK", """{"metadata":{"resourceVersion":"9"} }"""),
            Line("ADDED", """{"metadata":{"name":"other","resourceVersion":"10"} }"""),
            Line("DELETED", Cordoned.Replace("\"8\"", "\"11\"", StringComparison.Ordinal))
        );
        Assert.Null(failure);
        Assert.Equal(
            [("8", true, false), ("9", false, true), ("10", false, true), ("11", false, false)],
            news.Select(item => (item.Version, item.Item is not null, item.IsBookmark))
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
        var (news, failure) = await WatchAsync(line, Line("ADDED", Cordoned));
        Assert.Empty(news);
        Assert.Equal(kind, failure?.Kind.ToString());
    }

    [Fact]
    public async Task Garbage_without_an_end_ends_at_its_first_line()
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
    public async Task Server_that_forgets_to_end_a_watch_is_left_half_a_minute_after_its_time()
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

    private static async Task<(List<ObjectNews<NodeFacts>> News, ClusterException? Failure)> WatchAsync(params string[] lines)
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            context.Response.WriteAsync(string.Concat(lines.Select(line => line + "\n")))
        );
        List<ObjectNews<NodeFacts>> news = [];
        try
        {
            await WatchAsync(server, TimeProvider.System, news.Add, Token);
            return (news, null);
        }
        catch (ClusterException failure)
        {
            return (news, failure);
        }
    }

    private static async Task WatchAsync(
        ApiServerStub server,
        TimeProvider time,
        Action<ObjectNews<NodeFacts>> told,
        CancellationToken cancellationToken
    )
    {
        using var connection = server.Connection(time: time);
        await new KubernetesNodes(connection).WatchAsync("n", "7", TimeSpan.FromMinutes(5), told, cancellationToken);
    }

    private static KubernetesConnection To(ApiServerStub server) =>
        new(new ClusterOptions { Endpoint = new Uri(server.Url), NodeName = "n" }, "test", TimeProvider.System);

    private static string Line(string type, string item) => $$"""{"type":"{{type}}","object":{{item}} }""";
}
