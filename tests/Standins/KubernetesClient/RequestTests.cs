// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json;
using k8s;
using k8s.Autorest;
using k8s.Exceptions;
using k8s.Models;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace VpcCni.Standins.Tests.KubernetesClient;

public sealed class RequestTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Node_is_read_with_what_is_modelled_and_without_the_rest()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("""
            {"apiVersion":"v1","kind":"Node","metadata":{"name":"n","uid":"u","resourceVersion":"7","labels":{"a":"b"},"managedFields":[{"x":{}}]},
             "spec":{"taints":[{"key":"k","effect":"NoSchedule","timeAdded":null}],"unschedulable":true},
             "status":{"capacity":{"pods":"29","memory":"7934Mi","cpu":2},"images":[{"names":["i"],"sizeBytes":5}]}}
            """));
        using var client = server.Client();
        var node = await client.CoreV1.ReadNodeAsync("n", cancellationToken: Token);
        Assert.Equal(("n", "u", "7", "b"), (node.Metadata!.Name, node.Metadata.Uid, node.Metadata.ResourceVersion, node.Metadata.Labels!["a"]));
        Assert.Equal(("k", "NoSchedule"), (node.Spec!.Taints![0].Key, node.Spec.Taints[0].Effect));
        Assert.Equal((29, 7934L * 1024 * 1024, 2m), (node.Status!.Capacity!["pods"].ToInt32(), node.Status.Capacity["memory"].ToInt64(), node.Status.Capacity["cpu"].ToDecimal()));
        Assert.Equal(new Arrival("GET", "/api/v1/nodes/n", "", null, null, "HTTP/1.1"), server.Arrivals.Single());
    }

    [Fact]
    public async Task List_says_every_parameter_in_its_query()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("""{"metadata":{"resourceVersion":"12","continue":"c"},"items":[{"metadata":{"name":"n"}}]}"""));
        using var client = server.Client();
        var list = await client.CoreV1.ListNodeAsync(fieldSelector: "metadata.name=a b", labelSelector: "x in (1,2)", limit: 5, continueParameter: "t&", resourceVersion: "0", resourceVersionMatch: "NotOlderThan", cancellationToken: Token);
        Assert.Equal(("12", "c", "n"), (list.Metadata!.ResourceVersion, list.Metadata.ContinueProperty, list.Items!.Single().Metadata!.Name));
        Assert.Equal(
            "/api/v1/nodes?continue=t%26&fieldSelector=metadata.name%3Da%20b&labelSelector=x%20in%20%281%2C2%29&limit=5&resourceVersion=0&resourceVersionMatch=NotOlderThan",
            server.Arrivals.Single().Url);
    }

    [Fact]
    public async Task Custom_object_is_json_and_its_path_has_group_version_and_plural()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("""{"metadata":{"name":"zone-a"},"spec":{"subnet":"subnet-1"}}"""));
        using var client = server.Client();
        var item = (JsonElement)await client.CustomObjects.GetClusterCustomObjectAsync("crd.k8s.amazonaws.com", "v1alpha1", "eniconfigs", "zone-a", Token);
        Assert.Equal("subnet-1", item.GetProperty("spec").GetProperty("subnet").GetString());
        await client.CustomObjects.ListClusterCustomObjectAsync("crd.k8s.amazonaws.com", "v1alpha1", "eniconfigs", fieldSelector: "metadata.name=zone-a", cancellationToken: Token);
        Assert.Equal(
            ["/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs/zone-a", "/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs?fieldSelector=metadata.name%3Dzone-a"],
            server.Arrivals.Select(arrival => arrival.Url));
    }

    [Theory]
    [InlineData(V1Patch.PatchType.JsonPatch, "application/json-patch+json")]
    [InlineData(V1Patch.PatchType.MergePatch, "application/merge-patch+json")]
    [InlineData(V1Patch.PatchType.StrategicMergePatch, "application/strategic-merge-patch+json")]
    [InlineData(V1Patch.PatchType.ApplyPatch, "application/apply-patch+yaml")]
    public async Task Patch_travels_as_it_is_with_the_type_of_its_kind(V1Patch.PatchType type, string contentType)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("""{"metadata":{"name":"p"}}"""));
        using var client = server.Client();
        var pod = await client.CoreV1.PatchNamespacedPodAsync(new V1Patch("""{"metadata":{}}""", type), "p", "ns", fieldManager: "me", cancellationToken: Token);
        Assert.Equal("p", pod.Metadata!.Name);
        Assert.Equal(new Arrival("PATCH", "/api/v1/namespaces/ns/pods/p?fieldManager=me", """{"metadata":{}}""", contentType, null, "HTTP/1.1"), server.Arrivals.Single());
    }

    [Fact]
    public async Task Event_is_created_without_members_that_are_not_set()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("""{"metadata":{"name":"e","resourceVersion":"1"}}"""));
        using var client = server.Client();
        var happened = new Corev1Event
        {
            Metadata = new V1ObjectMeta { Name = "e", NamespaceProperty = "ns" },
            InvolvedObject = new V1ObjectReference { Kind = "Pod", Name = "p", NamespaceProperty = "ns" },
            Reason = "Because", Type = "Warning", Count = 2, LastTimestamp = new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc),
        };
        await client.CoreV1.CreateNamespacedEventAsync(happened, "ns", cancellationToken: Token);
        Assert.Equal(
            """{"metadata":{"name":"e","namespace":"ns"},"involvedObject":{"kind":"Pod","name":"p","namespace":"ns"},"reason":"Because","type":"Warning","count":2,"lastTimestamp":"2026-01-02T03:04:05Z"}""",
            server.Arrivals.Single().Body);
        Assert.Equal(("POST", "/api/v1/namespaces/ns/events"), (server.Arrivals.Single().Method, server.Arrivals.Single().Url));
    }

    [Theory]
    [InlineData("..")]
    [InlineData("")]
    public async Task Name_that_would_be_another_path_is_refused_before_anything_is_sent(string name)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"));
        using var client = server.Client();
        await Assert.ThrowsAsync<ArgumentException>(() => client.CoreV1.ReadNamespacedPodAsync(name, "ns", cancellationToken: Token));
        await client.CoreV1.ReadNamespacedPodAsync("a/../b", "ns", cancellationToken: Token);
        Assert.Equal("/api/v1/namespaces/ns/pods/a%2F..%2Fb", server.Arrivals.Single().Url);
    }

    [Fact]
    public async Task Refusal_carries_status_headers_and_the_servers_words()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
        {
            context.Response.Headers.RetryAfter = "7";
            return ApiServerStub.RefuseAsync(context, 429, "TooManyRequests", "slow down");
        });
        using var client = server.Client(configuration =>
        {
            configuration.AccessToken = "secret";
            return configuration;
        });
        var refusal = await Assert.ThrowsAsync<HttpOperationException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.Equal(HttpStatusCode.TooManyRequests, refusal.Response!.StatusCode);
        Assert.Equal(["7"], refusal.Response.Headers["retry-after"]);
        Assert.Equal("slow down", KubernetesJson.Deserialize<V1Status>(refusal.Response.Content!).Message);
        Assert.Equal("Bearer secret", server.Arrivals.Single().Authorization);
        Assert.False(refusal.Request!.Headers.ContainsKey("Authorization"));
        Assert.DoesNotContain("secret", refusal.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refusal_without_end_is_cut_off()
    {
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            context.Response.StatusCode = 502;
            await EndlessAsync(context);
        });
        using var client = server.Client();
        var refusal = await Assert.ThrowsAsync<HttpOperationException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.InRange(refusal.Response!.Content!.Length, 1, 16 * 1024);
    }

    [Theory]
    [InlineData("<html>captive portal</html>")]
    [InlineData("null")]
    [InlineData("")]
    [InlineData("""{"metadata":{"name":"n"}""")]
    [InlineData("""{"status":{"capacity":{"pods":"many"}}}""")]
    public async Task Success_that_is_not_the_object_is_an_error(string body)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync(body));
        using var client = server.Client();
        await Assert.ThrowsAsync<JsonException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
    }

    [Fact]
    public async Task Answer_without_end_is_given_up()
    {
        await using var server = await ApiServerStub.StartAsync(EndlessAsync);
        using var client = server.Client();
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.Equal(HttpRequestError.ConfigurationLimitExceeded, failure.HttpRequestError);
    }

    [Fact]
    public async Task Answer_that_stops_in_the_midst_is_given_up_after_the_timeout()
    {
        await using var server = await ApiServerStub.StartAsync(async context =>
        {
            await context.Response.WriteAsync("{\"metadata\":");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        using var client = server.Client(configuration =>
        {
            configuration.HttpClientTimeout = TimeSpan.FromMilliseconds(200);
            return configuration;
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.False(Token.IsCancellationRequested);
    }

    [Fact]
    public async Task Server_that_is_not_there_is_an_http_error()
    {
        using var client = new Kubernetes(new KubernetesClientConfiguration { Host = "http://127.0.0.1:1" });
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.Equal(HttpRequestError.ConnectionError, failure.HttpRequestError);
    }

    /// <summary>"localhost" is ::1 first, where nothing listens.</summary>
    [Fact]
    public async Task Name_with_several_addresses_is_reached_at_the_one_that_answers()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"));
        using var client = server.Client(configuration =>
        {
            configuration.Host = server.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal);
            return configuration;
        });
        await client.CoreV1.ReadNodeAsync("n", cancellationToken: Token);
        Assert.Single(server.Arrivals);
    }

    [Fact]
    public async Task Redirect_is_not_followed()
    {
        await using var server = await ApiServerStub.StartAsync(context =>
        {
            context.Response.Redirect("/elsewhere");
            return Task.CompletedTask;
        });
        using var client = server.Client();
        await Assert.ThrowsAsync<HttpOperationException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.Single(server.Arrivals);
    }

    [Fact]
    public void Host_that_is_no_url_is_refused_at_once()
        => Assert.Throws<KubeConfigException>(() => new Kubernetes(new KubernetesClientConfiguration { Host = "10.0.0.1:443" }));

    [Theory]
    [InlineData("110", 110)]
    [InlineData("1k", 1000)]
    [InlineData("2e3", 2000)]
    [InlineData("1.5Ki", 1536)]
    [InlineData("3000m", 3)]
    public void Quantity_is_its_number_times_its_suffix(string text, int expected)
    {
        Assert.Equal(expected, new ResourceQuantity(text).ToInt32());
        Assert.Equal(text, new ResourceQuantity(text).ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("Ki")]
    [InlineData("1Kb")]
    [InlineData("1e")]
    [InlineData("1e99")]
    [InlineData("0x10")]
    public void Quantity_of_another_form_is_refused(string text) => Assert.Throws<FormatException>(() => new ResourceQuantity(text));

    private static async Task EndlessAsync(HttpContext context)
    {
        await context.Response.WriteAsync("{\"x\":[");
        var chunk = System.Text.Encoding.ASCII.GetBytes("\"" + new string('x', 64 * 1024) + "\",");
        while (!context.RequestAborted.IsCancellationRequested) await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
    }
}
