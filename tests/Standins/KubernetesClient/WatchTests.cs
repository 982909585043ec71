// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace VpcCni.Standins.Tests.KubernetesClient;

public sealed class WatchTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Events_come_one_by_one_while_the_watch_is_open()
    {
        var next = new SemaphoreSlim(1);
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            foreach (var line in new[] { Line("ADDED", "a", 1), Line("MODIFIED", "a", 2), Line("BOOKMARK", "", 9), Line("DELETED", "a", 10) })
            {
                await next.WaitAsync(context.RequestAborted);
                await context.Response.WriteAsync(line + "\n");
                await context.Response.Body.FlushAsync();
            }
        });
        using var client = server.Client();
        List<string> seen = [];
        await foreach (var (type, node) in client.CoreV1.WatchListNodeAsync(allowWatchBookmarks: true, fieldSelector: "metadata.name=a", resourceVersion: "1", timeoutSeconds: 60, cancellationToken: Token))
        {
            seen.Add($"{type} {node.Metadata!.Name} {node.Metadata.ResourceVersion}");
            next.Release();
        }

        Assert.Equal(["Added a 1", "Modified a 2", "Bookmark  9", "Deleted a 10"], seen);
        Assert.Equal("/api/v1/nodes?allowWatchBookmarks=true&fieldSelector=metadata.name%3Da&resourceVersion=1&timeoutSeconds=60&watch=true", server.Arrivals.Single().Url);
    }

    [Fact]
    public async Task Custom_objects_are_watched_as_json()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("""{"object":{"spec":{"subnet":"subnet-1"}},"type":"ADDED"}""" + "\n"));
        using var client = server.Client();
        await foreach (var (type, item) in client.CustomObjects.WatchListClusterCustomObjectAsync("g", "v1", "things", cancellationToken: Token))
        {
            Assert.Equal((WatchEventType.Added, "subnet-1"), (type, ((JsonElement)item).GetProperty("spec").GetProperty("subnet").GetString()));
        }

        Assert.Equal("/apis/g/v1/things?watch=true", server.Arrivals.Single().Url);
    }

    [Fact]
    public async Task Error_of_the_server_is_told_with_its_status()
    {
        var (seen, errors) = await WatchAsync("""{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}}""" + "\n");
        Assert.Empty(seen);
        var status = Assert.IsType<KubernetesException>(Assert.Single(errors)).Status!;
        Assert.Equal((410, "Expired", "too old resource version"), (status.Code, status.Reason, status.Message));
    }

    [Theory]
    [InlineData("<html>")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"type":"ADDED"}""")]
    [InlineData("""{"type":"ADDED","object":null}""")]
    [InlineData("""{"type":"RENAMED","object":{}}""")]
    [InlineData("""{"type":5,"object":{}}""")]
    [InlineData("""{"type":"ADDED","object":[1]}""")]
    [InlineData("""{"type":"ADDED","object":{}} {"type":"ADDED","object":{}}""")]
    [InlineData("""{"type":"ADDED","object":{"spec":""")]
    public async Task Line_that_is_no_event_is_told_and_the_next_one_is_read(string line)
    {
        var (seen, errors) = await WatchAsync(line + "\r\n\n" + Line("ADDED", "a", 3) + "\n");
        Assert.IsType<JsonException>(Assert.Single(errors), exactMatch: false);
        Assert.Equal("a", Assert.Single(seen).Metadata!.Name);
    }

    [Fact]
    public async Task Last_line_that_was_cut_off_is_no_event()
    {
        var (seen, errors) = await WatchAsync(Line("ADDED", "a", 3) + "\n" + Line("ADDED", "b", 4)[..30]);
        Assert.Equal("a", Assert.Single(seen).Metadata!.Name);
        Assert.Empty(errors);
    }

    [Fact]
    public async Task Long_lines_and_short_ones_are_read_whatever_the_pieces_they_come_in()
    {
        var random = new Random(1);
        string[] names = [.. Enumerable.Range(0, 200).Select(number => new string((char)('a' + (number % 26)), random.Next(10) == 0 ? random.Next(100_000) : random.Next(1, 300)))];
        var text = System.Text.Encoding.ASCII.GetBytes(string.Concat(names.Select((name, number) => Line("ADDED", name, number) + "\n")));
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            for (var at = 0; at < text.Length;)
            {
                var piece = Math.Min(random.Next(1, 20_000), text.Length - at);
                await context.Response.Body.WriteAsync(text.AsMemory(at, piece));
                await context.Response.Body.FlushAsync();
                at += piece;
            }
        });
        using var client = server.Client();
        List<string?> seen = [];
        await foreach (var (_, node) in client.CoreV1.WatchListNodeAsync(onError: exception => Assert.Fail(exception.Message), cancellationToken: Token)) seen.Add(node.Metadata!.Name);
        Assert.Equal(names, seen);
    }

    [Fact]
    public async Task Line_without_end_is_given_up()
    {
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            var chunk = new byte[64 * 1024];
            chunk.AsSpan().Fill((byte)'x');
            while (!context.RequestAborted.IsCancellationRequested) await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
        });
        using var client = server.Client();
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => DrainAsync(client, null, Token));
        Assert.Equal(HttpRequestError.ConfigurationLimitExceeded, failure.HttpRequestError);
    }

    [Fact]
    public async Task Refused_watch_is_a_refusal()
    {
        await using var server = await ApiServerStub.StartAsync(context => ApiServerStub.RefuseAsync(context, 410, "Expired", "too old"));
        using var client = server.Client();
        var refusal = await Assert.ThrowsAsync<HttpOperationException>(() => DrainAsync(client, null, Token));
        Assert.Equal(410, (int)refusal.Response!.StatusCode);
    }

    [Fact]
    public async Task Connection_that_breaks_in_the_midst_is_an_io_error()
    {
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            await context.Response.WriteAsync(Line("ADDED", "a", 1) + "\n");
            await context.Response.Body.FlushAsync();
            context.Abort();
        });
        using var client = server.Client();
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => DrainAsync(client, null, Token));
        Assert.True(failure is IOException or HttpRequestException, failure.ToString());
    }

    [Fact]
    public async Task Watch_that_is_silent_ends_when_it_is_cancelled_and_frees_the_server()
    {
        var gone = new TaskCompletionSource();
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            context.RequestAborted.Register(() => gone.TrySetResult());
            await context.Response.Body.FlushAsync();
            await gone.Task;
        });
        using var client = server.Client();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var watching = DrainAsync(client, null, stop.Token);
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => server.Arrivals.Count == 1);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
        await gone.Task.WaitAsync(TimeSpan.FromSeconds(10), Token);
    }

    [Fact]
    public async Task Server_that_does_not_open_the_watch_is_given_up_after_the_timeout()
    {
        await using var server = await ApiServerStub.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        using var client = server.Client(configuration =>
        {
            configuration.HttpClientTimeout = TimeSpan.FromMilliseconds(200);
            return configuration;
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => DrainAsync(client, null, Token));
    }

    private static string Line(string type, string name, int version) => $$"""{"type":"{{type}}","object":{"kind":"Node","metadata":{"name":"{{name}}","resourceVersion":"{{version}}"} } }""";

    private static async Task<(List<V1Node> Seen, List<Exception> Errors)> WatchAsync(string body)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync(body));
        using var client = server.Client();
        List<Exception> errors = [];
        return (await DrainAsync(client, errors.Add, Token), errors);
    }

    private static async Task<List<V1Node>> DrainAsync(Kubernetes client, Action<Exception>? onError, CancellationToken cancellationToken)
    {
        List<V1Node> seen = [];
        await foreach (var (_, node) in client.CoreV1.WatchListNodeAsync(onError: onError, cancellationToken: cancellationToken)) seen.Add(node);
        return seen;
    }
}
