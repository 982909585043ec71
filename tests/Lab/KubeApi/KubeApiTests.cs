// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Tests the API over HTTP, through its requests and responses only.</summary>
public sealed class KubeApiTests
{
    private const string Nodes = "/api/v1/nodes";
    private const string EniConfigs = "/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs";

    [Fact]
    public async Task Object_is_created_read_patched_and_deleted()
    {
        await using var host = await KubeHost.StartAsync();
        Assert.Equal(
            HttpStatusCode.Created,
            (await host.SendAsync(HttpMethod.Post, Nodes, """{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1"}}""")).Status
        );
        var patched = await host.SendAsync(
            HttpMethod.Patch,
            Nodes + "/node-1",
            """{"metadata":{"annotations":{"a":"b"}}}""",
            "application/merge-patch+json"
        );
        Assert.Equal("b", patched.Body.Text("metadata", "annotations", "a"));
        var status = await host.SendAsync(
            HttpMethod.Patch,
            Nodes + "/node-1/status",
            """{"status":{"capacity":{"pods":"29"}}}""",
            "application/strategic-merge-patch+json"
        );
        Assert.Equal("29", status.Body.Text("status", "capacity", "pods"));
        var listed = await host.GetAsync(Nodes);
        Assert.Equal(("NodeList", "v1", "node-1"), (listed.Body.Text("kind"), listed.Body.Text("apiVersion"), Assert.Single(listed.Names)));
        var deleted = await host.SendAsync(HttpMethod.Delete, Nodes + "/node-1");
        Assert.Equal("Success", deleted.Body.Text("status"));
        var missing = await host.GetAsync(Nodes + "/node-1");
        Assert.Equal(
            (HttpStatusCode.NotFound, "NotFound", "nodes \"node-1\" not found"),
            (missing.Status, missing.Reason, missing.Body.Text("message"))
        );
    }

    [Fact]
    public async Task Condition_of_a_node_is_added_and_changed_by_patches_of_its_status()
    {
        await using var host = await KubeHost.StartAsync();
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-1"));
        async Task<string> PatchAsync(string condition) =>
            (
                await host.SendAsync(
                    HttpMethod.Patch,
                    Nodes + "/node-1/status",
                    """{"status":{"conditions":[""" + condition + "]}}",
                    "application/strategic-merge-patch+json"
                )
            ).Body["status"]!["conditions"]!.ToJsonString();

        await PatchAsync("""{"type":"Ready","status":"True"}""");
        Assert.Equal(
            """[{"type":"Ready","status":"True"},{"type":"NetworkUnavailable","status":"True"}]""",
            await PatchAsync("""{"type":"NetworkUnavailable","status":"True"}""")
        );
        Assert.Equal(
            """[{"type":"Ready","status":"True"},{"type":"NetworkUnavailable","status":"False","reason":"RouteCreated"}]""",
            await PatchAsync("""{"type":"NetworkUnavailable","status":"False","reason":"RouteCreated"}""")
        );
    }

    [Fact]
    public async Task Stale_patch_is_a_conflict()
    {
        await using var host = await KubeHost.StartAsync();
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-1"));
        var stale = await host.SendAsync(
            HttpMethod.Patch,
            Nodes + "/node-1",
            """{"metadata":{"resourceVersion":"1","labels":{"a":"b"}}}""",
            "application/merge-patch+json"
        );
        Assert.Equal((HttpStatusCode.Conflict, "Conflict"), (stale.Status, stale.Reason));
    }

    [Fact]
    public async Task Selectors_filter_lists_and_reject_unknown_fields()
    {
        await using var host = await KubeHost.StartAsync();
        for (var count = 1; count <= 3; count++)
        {
            var pod = Named($"web-{count}");
            pod["metadata"]!["labels"] = new JsonObject { ["n"] = $"{count}" };
            pod["spec"] = new JsonObject { ["nodeName"] = $"node-{count % 2}" };
            host.Store.Create(BuiltInTypes.Pods, "default", pod);
        }

        Assert.Equal(["web-1", "web-3"], (await host.GetAsync("/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1")).Names);
        Assert.Equal(["web-2", "web-3"], (await host.GetAsync("/api/v1/namespaces/default/pods?labelSelector=n+in+(2,3)")).Names);
        Assert.Equal(["web-1"], (await host.GetAsync("/api/v1/pods?labelSelector=n,n!%3D2,n+notin+(3)")).Names);
        Assert.Empty((await host.GetAsync("/api/v1/namespaces/kube-system/pods")).Names);
        var rejected = await host.GetAsync("/api/v1/pods?fieldSelector=spec.colour%3Dred");
        Assert.Equal(HttpStatusCode.BadRequest, rejected.Status);
        Assert.Contains("field label not supported: spec.colour", rejected.Body.Text("message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watch_without_a_version_starts_with_the_current_objects()
    {
        await using var host = await KubeHost.StartAsync();
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-1"));
        using var watch = await host.WatchAsync(Nodes);
        Assert.Equal("ADDED node-1", await watch.NextAsync());
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-2"));
        Assert.Equal("ADDED node-2", await watch.NextAsync());
        host.Store.Delete(BuiltInTypes.Nodes, "", "node-1");
        Assert.Equal("DELETED node-1", await watch.NextAsync());
    }

    [Fact]
    public async Task Watch_resumes_from_a_version_sends_bookmarks_and_times_out()
    {
        await using var host = await KubeHost.StartAsync(api: new KubeApiOptions { BookmarkInterval = TimeSpan.FromMilliseconds(50) });
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-1"));
        var from = (await host.GetAsync(Nodes)).Body.Text("metadata", "resourceVersion");
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-2"));
        host.Store.Create(BuiltInTypes.Pods, "default", Named("web"));
        using var watch = await host.WatchAsync($"{Nodes}?resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=1");
        Assert.Equal("ADDED node-2", await watch.NextAsync());
        var bookmark = await watch.EventAsync();
        Assert.Equal(
            ("BOOKMARK", $"{host.Store.LastVersion}"),
            (bookmark.Text("type"), bookmark.Text("object", "metadata", "resourceVersion"))
        );
        string? next;
        while ((next = await watch.NextAsync()) is not null)
            Assert.Equal("BOOKMARK", next);
    }

    [Fact]
    public async Task Watch_from_a_compacted_version_gets_an_error_event_with_410()
    {
        await using var host = await KubeHost.StartAsync();
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-1"));
        host.Store.Compact();
        using var watch = await host.WatchAsync($"{Nodes}?resourceVersion=1");
        var error = await watch.EventAsync();
        Assert.Equal(
            (HttpStatusCode.OK, "ERROR", "Expired", 410),
            (watch.Status, error.Text("type"), error.Text("object", "reason"), (int?)error.At("object", "code"))
        );
        Assert.Null(await watch.LineAsync());
    }

    [Fact]
    public async Task Watch_with_initial_events_replaces_a_list()
    {
        await using var host = await KubeHost.StartAsync();
        host.Store.Create(BuiltInTypes.Nodes, "", Named("node-1"));
        using var watch = await host.WatchAsync(
            $"{Nodes}?sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
        );
        Assert.Equal("ADDED node-1", await watch.NextAsync());
        Assert.Equal("true", (await watch.EventAsync()).Text("object", "metadata", "annotations", "k8s.io/initial-events-end"));
    }

    [Fact]
    public async Task List_is_a_table_or_metadata_if_the_client_accepts_it()
    {
        await using var host = await KubeHost.StartAsync();
        var node = Named("node-1");
        node["spec"] = new JsonObject { ["unschedulable"] = true };
        node["status"] = new JsonObject { ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Ready", ["status"] = "True" }) };
        host.Store.Create(BuiltInTypes.Nodes, "", node);
        var table = await host.GetAsync(Nodes, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
        var row = Assert.Single(table.Body.Objects("rows"));
        Assert.Equal(["node-1", "Ready,SchedulingDisabled", "<none>"], row["cells"]!.AsArray().Take(3).Select(cell => cell.Text()));
        Assert.Equal("PartialObjectMetadata", row.Text("object", "kind"));
        Assert.Equal(
            ["Name", "Status", "Roles", "Age", "Version"],
            table.Body.Objects("columnDefinitions").Where(column => (int?)column["priority"] == 0).Select(column => column.Text("name"))
        );
        var metadata = await host.GetAsync(Nodes, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
        Assert.Equal(("PartialObjectMetadataList", null), (metadata.Body.Text("kind"), metadata.Body["items"]![0]!["spec"]));
        Assert.Equal(HttpStatusCode.NotAcceptable, (await host.GetAsync(Nodes, "application/vnd.kubernetes.protobuf")).Status);
    }

    [Fact]
    public async Task Custom_resource_is_validated_and_pruned_by_its_schema()
    {
        await using var host = await KubeHost.StartAsync();
        var created = await host.SendAsync(
            HttpMethod.Post,
            EniConfigs,
            """{"apiVersion":"crd.k8s.amazonaws.com/v1alpha1","kind":"ENIConfig","metadata":{"name":"us-west-2a"},"spec":{"subnet":"subnet-1"}}"""
        );
        Assert.Equal((HttpStatusCode.Created, 1), (created.Status, (int?)created.Body.At("metadata", "generation")));
        var strategic = await host.SendAsync(
            HttpMethod.Patch,
            EniConfigs + "/us-west-2a",
            """{"spec":{"subnet":"subnet-2"}}""",
            "application/strategic-merge-patch+json"
        );
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, strategic.Status);
        var merged = await host.SendAsync(
            HttpMethod.Patch,
            EniConfigs + "/us-west-2a",
            """{"spec":{"subnet":"subnet-2"}}""",
            "application/merge-patch+json"
        );
        Assert.Equal(("subnet-2", 2), (merged.Body.Text("spec", "subnet"), (int?)merged.Body.At("metadata", "generation")));

        const string Node =
            """{"apiVersion":"vpcresources.k8s.aws/v1alpha1","kind":"CNINode","metadata":{"name":"node-1"},"spec":{"features":[{"name":"Flying"}],"colour":"red"}}""";
        var invalid = await host.SendAsync(HttpMethod.Post, "/apis/vpcresources.k8s.aws/v1alpha1/cninodes", Node);
        Assert.Equal((HttpStatusCode.UnprocessableEntity, "Invalid"), (invalid.Status, invalid.Reason));
        Assert.Contains("spec.features[0].name: Unsupported value: \"Flying\"", invalid.Body.Text("message"), StringComparison.Ordinal);
        var strict = await host.SendAsync(
            HttpMethod.Post,
            "/apis/vpcresources.k8s.aws/v1alpha1/cninodes?fieldValidation=Strict",
            Node.Replace("Flying", "CustomNetworking", StringComparison.Ordinal)
        );
        Assert.Equal("strict decoding error: unknown field \"spec.colour\"", strict.Body.Text("message"));
    }

    [Fact]
    public async Task Definition_is_served_at_once_and_listed_by_discovery()
    {
        await using var host = await KubeHost.StartAsync();
        const string Definition = """
            {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.test.example"},
             "spec":{"group":"test.example","scope":"Namespaced","names":{"plural":"widgets","kind":"Widget"},
                     "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","required":["size"],"properties":{"size":{"type":"integer"}}}}}}}]}}
            """;
        var created = await host.SendAsync(HttpMethod.Post, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", Definition);
        Assert.Contains(
            created.Body.Objects("status", "conditions"),
            condition => condition.Text("type") == "Established" && condition.Text("status") == "True"
        );
        Assert.Equal("widgets", Assert.Single((await host.GetAsync("/apis/test.example/v1")).Body.Objects("resources")).Text("name"));
        var wrong = await host.SendAsync(
            HttpMethod.Post,
            "/apis/test.example/v1/namespaces/default/widgets",
            """{"apiVersion":"test.example/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"size":"big"}}"""
        );
        Assert.Contains("spec.size in body must be of type integer", wrong.Body.Text("message"), StringComparison.Ordinal);
        await host.SendAsync(HttpMethod.Delete, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.test.example");
        Assert.Equal(HttpStatusCode.NotFound, (await host.GetAsync("/apis/test.example/v1/widgets")).Status);
    }

    [Fact]
    public async Task Discovery_is_served_by_group_and_aggregated()
    {
        await using var host = await KubeHost.StartAsync();
        Assert.Equal("1", (await host.GetAsync("/version")).Body.Text("major"));
        Assert.Equal("v1", (await host.GetAsync("/api")).Body["versions"]![0].Text());
        var groups = (await host.GetAsync("/apis")).Body.Objects("groups").Select(group => group.Text("name")).ToArray();
        Assert.Contains("crd.k8s.amazonaws.com", groups);
        Assert.Contains("events.k8s.io", groups);
        Assert.Contains((await host.GetAsync("/api/v1")).Body.Objects("resources"), resource => resource.Text("name") == "nodes/status");
        var all = await host.GetAsync(
            "/apis",
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;q=0.9"
        );
        Assert.Equal(
            ("APIGroupDiscoveryList", "application/json; g=apidiscovery.k8s.io; v=v2; as=APIGroupDiscoveryList"),
            (all.Body.Text("kind"), all.ContentType)
        );
        Assert.Equal(
            groups.Order(StringComparer.Ordinal),
            all.Body.Objects("items").Select(item => item.Text("metadata", "name")).Order(StringComparer.Ordinal)
        );
    }

    [Theory]
    [InlineData("GET", "/api/v1/widgets", null, HttpStatusCode.NotFound)]
    [InlineData("GET", "/apis/none.example/v1/widgets", null, HttpStatusCode.NotFound)]
    [InlineData("GET", "/api/v1/pods/web", null, HttpStatusCode.NotFound)]
    [InlineData("GET", "/api/v1/nodes/node-1/log", null, HttpStatusCode.NotFound)]
    [InlineData("POST", "/api/v1/nodes", "not json", HttpStatusCode.BadRequest)]
    [InlineData("POST", "/api/v1/nodes", "[]", HttpStatusCode.BadRequest)]
    [InlineData("POST", "/api/v1/nodes", """{"kind":"Pod","metadata":{"name":"x"}}""", HttpStatusCode.BadRequest)]
    [InlineData("POST", "/api/v1/nodes", """{"metadata":{}}""", HttpStatusCode.UnprocessableEntity)]
    [InlineData("POST", "/api/v1/pods", """{"metadata":{"name":"x"}}""", HttpStatusCode.BadRequest)]
    [InlineData("GET", "/api/v1/nodes?limit=many", null, HttpStatusCode.BadRequest)]
    [InlineData("GET", "/api/v1/nodes?continue=nonsense", null, HttpStatusCode.BadRequest)]
    [InlineData("GET", "/api/v1/nodes?watch=true&resourceVersion=late", null, HttpStatusCode.BadRequest)]
    [InlineData("GET", "/api/v1/nodes?labelSelector=(", null, HttpStatusCode.BadRequest)]
    public async Task Invalid_request_gets_a_status_object(string method, string path, string? body, HttpStatusCode expected)
    {
        await using var host = await KubeHost.StartAsync();
        var reply = await host.SendAsync(new HttpMethod(method), path, body);
        Assert.Equal((expected, "Status", (int)expected), (reply.Status, reply.Body.Text("kind"), (int?)reply.Body["code"]));
    }

    [Fact]
    public async Task Body_beyond_the_limit_gets_413()
    {
        await using var host = await KubeHost.StartAsync(api: new KubeApiOptions { MaxBodyBytes = 1000 });
        var reply = await host.SendAsync(HttpMethod.Post, Nodes, new string(' ', 2000));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, reply.Status);
    }

    [Fact]
    public async Task Secure_handler_requires_a_valid_token()
    {
        await using var host = await KubeHost.StartAsync();
        var user = KubeTokens.ServiceAccount("kube-system", "aws-node");
        var first = host.Plane.Tokens.Issue(user);
        using var nobody = host.SecureClient(token: null);
        using var holder = host.SecureClient(first);
        Assert.Equal(HttpStatusCode.Unauthorized, (await host.SendAsync(HttpMethod.Get, Nodes, client: nobody)).Status);
        Assert.Equal(HttpStatusCode.OK, (await host.SendAsync(HttpMethod.Get, Nodes, client: holder)).Status);
        var second = host.Plane.Tokens.Issue(user);
        Assert.Equal(HttpStatusCode.OK, (await host.SendAsync(HttpMethod.Get, Nodes, client: holder)).Status);
        host.Plane.Tokens.RevokeAllExcept(user, second);
        Assert.Equal(HttpStatusCode.Unauthorized, (await host.SendAsync(HttpMethod.Get, Nodes, client: holder)).Status);
        Assert.Contains(new KubeCallCount(user, "list", "nodes", 200, 2), host.Plane.Calls.Counts);
    }

    private static JsonObject Named(string name) => new() { ["metadata"] = new JsonObject { ["name"] = name } };
}
