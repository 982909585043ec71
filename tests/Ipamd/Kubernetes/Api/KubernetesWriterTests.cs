// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Kubernetes.Api;
using VpcCni.Ipamd.Ledger;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes.Api;

public sealed class KubernetesWriterTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.FromHours(2));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Event_of_a_pod_is_in_its_namespace_and_of_a_node_in_default()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"));
        using var connection = To(server);
        var writer = new KubernetesWriter(connection, "node-1");
        await writer.CreateEventAsync(
            new EventRecord("web.1", new EventSubject("prod", "web"), "u", "Throttled", "slow", 2, At, At.AddSeconds(9)),
            Token
        );
        await writer.CreateEventAsync(
            new EventRecord("node-1.1", new EventSubject("", "node-1"), "n", "Throttled", "slow", 1, At, At),
            Token
        );
        Assert.Equal(
            ["/api/v1/namespaces/prod/events", "/api/v1/namespaces/default/events"],
            server.Arrivals.Select(arrival => arrival.Url)
        );
        AssertJson(
            """{"metadata":{"name":"web.1","namespace":"prod"},"involvedObject":{"apiVersion":"v1","kind":"Pod","name":"web","namespace":"prod","uid":"u"},"reason":"Throttled","message":"slow","type":"Warning","source":{"component":"vpc-cni","host":"node-1"},"count":2,"firstTimestamp":"2026-01-02T01:04:05Z","lastTimestamp":"2026-01-02T01:04:14Z"}""",
            server.Arrivals[0].Body
        );
        AssertJson(
            """{"apiVersion":"v1","kind":"Node","name":"node-1","uid":"n"}""",
            JsonNode.Parse(server.Arrivals[1].Body)!["involvedObject"]!.ToJsonString()
        );
    }

    [Fact]
    public async Task Event_is_updated_by_a_merge_patch()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"));
        using var connection = To(server);
        await new KubernetesWriter(connection, "node-1").UpdateEventAsync(
            new EventRecord("web.1", new EventSubject("prod", "web"), "u", "Throttled", "\"slow\"", 7, At, At),
            Token
        );
        var arrival = server.Arrivals.Single();
        Assert.Equal(
            (
                "PATCH",
                "/api/v1/namespaces/prod/events/web.1",
                "application/merge-patch+json; charset=utf-8",
                """{"count":7,"lastTimestamp":"2026-01-02T01:04:05Z","message":"\u0022slow\u0022"}"""
            ),
            (arrival.Method, arrival.Url, arrival.ContentType, arrival.Body)
        );
    }

    [Theory]
    [InlineData(null, """{"metadata":{"annotations":{"a/b":"10.0.0.1"}}}""")]
    [InlineData("u", """{"metadata":{"uid":"u","annotations":{"a/b":"10.0.0.1"}}}""")]
    public async Task Pod_is_annotated_by_a_merge_patch_with_optional_uid(string? uid, string body)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"));
        using var connection = To(server);
        await new KubernetesWriter(connection, "node-1").AnnotatePodAsync(new PodReference("prod", "web"), uid, "a/b", "10.0.0.1", Token);
        Assert.Equal(("/api/v1/namespaces/prod/pods/web", body), (server.Arrivals.Single().Url, server.Arrivals.Single().Body));
    }

    [Fact]
    public async Task Pod_is_found_with_uid_and_node_or_is_null()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
            context.Request.Path.Value!.EndsWith("/web", StringComparison.Ordinal)
                ? context.Response.WriteAsync("""{"metadata":{"uid":"u"},"spec":{"nodeName":"node-1","containers":[]}}""")
                : ApiServerStub.RejectAsync(context, 404, "NotFound", "no")
        );
        using var connection = To(server);
        var writer = new KubernetesWriter(connection, "node-1");
        Assert.Equal(new PodFacts("u", "node-1"), await writer.FindPodAsync(new PodReference("prod", "web"), Token));
        Assert.Null(await writer.FindPodAsync(new PodReference("prod", "gone"), Token));
    }

    private static void AssertJson(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), actual);

    private static KubernetesConnection To(ApiServerStub server) =>
        new(new ClusterOptions { Endpoint = new Uri(server.Url), NodeName = "n" }, "test", TimeProvider.System);
}
