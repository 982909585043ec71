// SPDX-License-Identifier: Apache-2.0
using System.IO.Compression;
using Microsoft.AspNetCore.Http;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Kubernetes.Api;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes.Api;

/// <summary>Sends responses that no API server sends. Each call ends, within its bounds, as a failure of the right kind.</summary>
public sealed class HostileServerTests
{
    private const string Node = """{"metadata":{"name":"n","resourceVersion":"1"} }""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Endless_response_is_unreadable()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            ApiServerStub.EndlessAsync(context, "{\"x\":[", "\"" + new string('x', 64 * 1024) + "\",")
        );
        Assert.Equal(ClusterErrorKind.Unreadable, (await ListFailureAsync(server)).Kind);
    }

    [Fact]
    public async Task Endless_error_response_keeps_its_status_and_truncated_text()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
        {
            context.Response.StatusCode = 502;
            return ApiServerStub.EndlessAsync(context, "bad gateway ", new string('x', 64 * 1024));
        });
        var failure = await ListFailureAsync(server);
        Assert.Equal(ClusterErrorKind.Unreachable, failure.Kind);
        Assert.StartsWith("list node n: HTTP 502: bad gateway xxx", failure.Message, StringComparison.Ordinal);
        Assert.InRange(failure.Message.Length, 1, 500);
    }

    [Fact]
    public async Task Compressed_response_is_not_decompressed()
    {
        // A list that would be read if it were decompressed; it is neither asked for nor done.
        var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            await gzip.WriteAsync(
                """{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"n","uid":"u","resourceVersion":"8"}}]}"""u8.ToArray(),
                Token
            );
        var accepted = "";
        await using var server = await ApiServerStub.StartAsync(context =>
        {
            accepted = context.Request.Headers.AcceptEncoding.ToString();
            context.Response.Headers.ContentEncoding = "gzip";
            return context.Response.Body.WriteAsync(packed.ToArray()).AsTask();
        });
        Assert.Equal(ClusterErrorKind.Unreadable, (await ListFailureAsync(server)).Kind);
        Assert.Equal("", accepted);
    }

    [Theory]
    [InlineData("answer")]
    [InlineData("refusal")]
    [InlineData("nothing")]
    public async Task Stalled_response_ends_at_the_deadline_of_the_request(string stalls)
    {
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            if (stalls == "refusal")
                context.Response.StatusCode = 500;
            if (stalls != "nothing")
            {
                await context.Response.WriteAsync("{\"metadata\":");
                await context.Response.Body.FlushAsync();
            }

            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        using var connection = server.Connection(timeout: TimeSpan.FromMilliseconds(200));
        var failure = await Assert.ThrowsAsync<ClusterException>(() => new KubernetesNodes(connection).ListAsync("n", "0", Token));
        Assert.Equal(ClusterErrorKind.Unreachable, failure.Kind);
    }

    [Fact]
    public async Task Redirect_is_not_followed()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
        {
            context.Response.Redirect("/elsewhere");
            return Task.CompletedTask;
        });
        Assert.Equal(ClusterErrorKind.Unreadable, (await ListFailureAsync(server)).Kind);
        Assert.Single(server.Arrivals);
    }

    /// <summary>"localhost" resolves to ::1 first, where nothing listens.</summary>
    [Fact]
    public async Task Host_name_with_several_addresses_is_reached_at_one_that_listens()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            context.Response.WriteAsync($$"""{"metadata":{"resourceVersion":"1"},"items":[{{Node}}]}""")
        );
        using var connection = server.Connection(options =>
            options with
            {
                Endpoint = new Uri(server.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal)),
            }
        );
        Assert.NotNull((await new KubernetesNodes(connection).ListAsync("n", "0", Token)).Item);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("5")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":{} }""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[5]}""")]
    [InlineData("""{"metadata":{"resourceVersion":1},"items":[]}""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"n","labels":{"a":1} } }]}""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"n"},"spec":{"taints":[null]} }]}""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"n"},"spec":{"unschedulable":"yes"} }]}""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[""")]
    public async Task Response_of_another_shape_is_unreadable(string body)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync(body));
        Assert.Equal(ClusterErrorKind.Unreadable, (await ListFailureAsync(server)).Kind);
    }

    [Theory]
    [InlineData("many")]
    [InlineData("1e")]
    [InlineData("1e99")]
    [InlineData("1e99999999")]
    [InlineData("1e+0099999999")]
    [InlineData("0x10")]
    [InlineData("1Kb")]
    [InlineData("")]
    public async Task Capacity_that_is_not_a_quantity_is_unreadable(string pods)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync(ListWithCapacity(pods)));
        Assert.Equal(ClusterErrorKind.Unreadable, (await ListFailureAsync(server)).Kind);
    }

    [Theory]
    [InlineData("110", 110)]
    [InlineData("1k", 1000)]
    [InlineData("2e3", 2000)]
    [InlineData("3000m", 3)]
    [InlineData("5E", null)]
    [InlineData("99999999999999999999", null)]
    [InlineData("-1", null)]
    public async Task Implausible_capacity_is_ignored(string pods, int? expected)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync(ListWithCapacity(pods)));
        using var connection = server.Connection();
        Assert.Equal(expected, (await new KubernetesNodes(connection).ListAsync("n", "0", Token)).Item!.MaxPods);
    }

    [Theory]
    [InlineData("..")]
    [InlineData("a/../b")]
    [InlineData("")]
    public async Task Name_that_would_change_the_path_is_not_sent(string name)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"));
        using var connection = server.Connection();
        var writer = new KubernetesWriter(connection, "node-1");
        Assert.Null(await writer.FindPodAsync(new("prod", name), Token));
        Assert.Null(await writer.FindPodAsync(new(name, "web"), Token));
        Assert.Equal(
            ClusterErrorKind.Refused,
            (await Assert.ThrowsAsync<ClusterException>(() => writer.AnnotatePodAsync(new("prod", name), null, "a", "b", Token))).Kind
        );
        Assert.Empty(server.Arrivals);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"type":"ADDED"}""")]
    [InlineData("""{"type":"ADDED","object":null}""")]
    [InlineData("""{"type":"RENAMED","object":{}}""")]
    [InlineData("""{"type":5,"object":{}}""")]
    [InlineData("""{"type":"ADDED","object":[1]}""")]
    [InlineData("""{"type":"ADDED","object":{}} {"type":"ADDED","object":{}}""")]
    [InlineData("""{"type":"ADDED","object":{"spec":""")]
    public async Task Line_that_is_not_an_event_ends_the_watch(string line)
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            context.Response.WriteAsync(line + "\r\n\n" + Event(Node) + "\n")
        );
        var (events, failure) = await WatchAsync(server);
        Assert.Empty(events);
        Assert.Equal(ClusterErrorKind.Unreadable, failure?.Kind);
    }

    [Fact]
    public async Task Unterminated_last_line_is_dropped()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            context.Response.WriteAsync(Event(Node) + "\n" + Event(Node)[..30])
        );
        var (events, failure) = await WatchAsync(server);
        Assert.Equal(("1", 1), (Assert.Single(events).Version, events.Count));
        Assert.Null(failure);
    }

    [Fact]
    public async Task Lines_are_read_whole_in_chunks_of_any_size()
    {
        var random = new Random(1);
        string[] versions =
        [
            .. Enumerable
                .Range(0, 200)
                .Select(number => new string(
                    (char)('a' + (number % 26)),
                    random.Next(10) == 0 ? random.Next(1, 100_000) : random.Next(1, 300)
                )),
        ];
        var text = System.Text.Encoding.ASCII.GetBytes(
            string.Concat(versions.Select(version => Event($$"""{"metadata":{"name":"n","resourceVersion":"{{version}}"} }""") + "\n"))
        );
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            for (var at = 0; at < text.Length; )
            {
                var piece = Math.Min(random.Next(1, 20_000), text.Length - at);
                await context.Response.Body.WriteAsync(text.AsMemory(at, piece));
                await context.Response.Body.FlushAsync();
                at += piece;
            }
        });
        var (events, failure) = await WatchAsync(server);
        Assert.Null(failure);
        Assert.Equal(versions, events.Select(item => item.Version));
    }

    [Fact]
    public async Task Endless_line_ends_the_watch()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            ApiServerStub.EndlessAsync(context, "", new string('x', 64 * 1024))
        );
        Assert.Equal(ClusterErrorKind.Unreadable, (await WatchAsync(server)).Failure?.Kind);
    }

    [Fact]
    public async Task Watch_whose_connection_breaks_is_unreachable_after_its_events()
    {
        var read = new TaskCompletionSource();
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            await context.Response.WriteAsync(Event(Node) + "\n");
            await context.Response.Body.FlushAsync();
            await read.Task;
            context.Abort();
        });
        using var connection = server.Connection();
        var failure = await Assert.ThrowsAsync<ClusterException>(() =>
            new KubernetesNodes(connection).WatchAsync("n", "7", TimeSpan.FromMinutes(5), _ => read.SetResult(), Token)
        );
        Assert.Equal(ClusterErrorKind.Unreachable, failure.Kind);
    }

    [Fact]
    public async Task Watch_without_a_response_ends_at_the_deadline_of_the_request()
    {
        await using var server = await ApiServerStub.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        Assert.Equal(ClusterErrorKind.Unreachable, (await WatchAsync(server, TimeSpan.FromMilliseconds(200))).Failure?.Kind);
    }

    [Fact]
    public async Task Cancelled_watch_closes_its_connection()
    {
        var gone = new TaskCompletionSource();
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            context.RequestAborted.Register(() => gone.TrySetResult());
            await context.Response.Body.FlushAsync();
            await gone.Task;
        });
        using var connection = server.Connection();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var watching = new KubernetesNodes(connection).WatchAsync("n", "7", TimeSpan.FromMinutes(5), _ => { }, stop.Token);
        await Eventually.TrueAsync(() => server.Arrivals.Count == 1);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
        await gone.Task.WaitAsync(TimeSpan.FromSeconds(10), Token);
    }

    private static string ListWithCapacity(string pods) =>
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":["
        + $$"""{"metadata":{"name":"n"},"status":{"capacity":{"pods":"{{pods}}"} } }"""
        + "]}";

    private static string Event(string item) => $$"""{"type":"ADDED","object":{{item}} }""";

    private static async Task<ClusterException> ListFailureAsync(ApiServerStub server)
    {
        using var connection = server.Connection();
        return await Assert.ThrowsAsync<ClusterException>(() => new KubernetesNodes(connection).ListAsync("n", "0", Token));
    }

    private static async Task<(List<ObjectEvent<NodeFacts>> News, ClusterException? Failure)> WatchAsync(
        ApiServerStub server,
        TimeSpan? timeout = null
    )
    {
        using var connection = server.Connection(timeout: timeout);
        List<ObjectEvent<NodeFacts>> events = [];
        try
        {
            await new KubernetesNodes(connection).WatchAsync("n", "7", TimeSpan.FromMinutes(5), events.Add, Token);
            return (events, null);
        }
        catch (ClusterException failure)
        {
            return (events, failure);
        }
    }
}
