// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Tests the store without HTTP: versions, locking, subresources, history.</summary>
public sealed class KubeStoreTests
{
    private static readonly ResourceType Nodes = BuiltInTypes.Nodes;
    private static readonly ResourceType Pods = BuiltInTypes.Pods;

    private readonly ManualTimeProvider _time = new();

    [Fact]
    public void Created_object_has_uid_version_and_time_and_is_a_copy()
    {
        var store = NewStore();
        var sent = Node("node-1");
        var created = store.Create(Nodes, "", sent);
        sent["spec"]!["providerID"] = "changed afterwards";
        created["spec"]!["providerID"] = "changed afterwards";
        var read = store.Get(Nodes, "", "node-1");
        Assert.Equal("aws:///zone/i-1", read.Text("spec", "providerID"));
        Assert.Equal("2026-01-02T03:04:05Z", read.Text("metadata", "creationTimestamp"));
        Assert.Equal($"{store.LastVersion}", read.Text("metadata", "resourceVersion"));
        Assert.True(Guid.TryParse(read.Text("metadata", "uid"), out _));
        Assert.Equal(("Node", "v1"), (read.Text("kind"), read.Text("apiVersion")));
    }

    [Fact]
    public void Create_of_an_existing_name_is_rejected()
    {
        var store = NewStore();
        store.Create(Nodes, "", Node("node-1"));
        AssertRejected(HttpStatusCode.Conflict, "AlreadyExists", () => store.Create(Nodes, "", Node("node-1")));
    }

    [Fact]
    public void Update_with_an_old_version_is_a_conflict_and_without_one_is_not()
    {
        var store = NewStore();
        var first = store.Create(Nodes, "", Node("node-1"));
        var second = store.Update(Nodes, "", "node-1", With(first, o => o["spec"]!["unschedulable"] = true));
        AssertRejected(
            HttpStatusCode.Conflict,
            "Conflict",
            () => store.Update(Nodes, "", "node-1", With(first, o => o["spec"]!["unschedulable"] = false))
        );
        var unversioned = With(second, o => o["metadata"]!.AsObject().Remove("resourceVersion"));
        unversioned["spec"]!["unschedulable"] = false;
        Assert.False(store.Update(Nodes, "", "node-1", unversioned).Flag("spec", "unschedulable"));
    }

    [Fact]
    public void Write_that_changes_nothing_creates_no_version()
    {
        var store = NewStore();
        var created = store.Create(Nodes, "", Node("node-1"));
        var before = store.LastVersion;
        store.Update(Nodes, "", "node-1", created);
        store.Patch(Nodes, "", "node-1", o => o);
        Assert.Equal(before, store.LastVersion);
    }

    [Fact]
    public void Status_and_object_are_written_separately()
    {
        var store = NewStore();
        store.Create(Nodes, "", Node("node-1"));
        store.Patch(
            Nodes,
            "",
            "node-1",
            o =>
                With(
                    o,
                    it =>
                    {
                        it["status"] = new JsonObject { ["phase"] = "from the object" };
                        it["spec"]!["unschedulable"] = true;
                    }
                )
        );
        store.Patch(
            Nodes,
            "",
            "node-1",
            o =>
                With(
                    o,
                    it =>
                    {
                        it["status"] = new JsonObject { ["phase"] = "from the status" };
                        it["spec"]!["unschedulable"] = false;
                    }
                ),
            new WriteOptions(Subresource: WriteOptions.Status)
        );
        var read = store.Get(Nodes, "", "node-1");
        Assert.Equal(("from the status", true), (read.Text("status", "phase"), read.Flag("spec", "unschedulable")));
    }

    [Fact]
    public void Dry_run_returns_the_result_and_stores_nothing()
    {
        var store = NewStore();
        var before = store.LastVersion;
        Assert.Equal("node-1", store.Create(Nodes, "", Node("node-1"), new WriteOptions(DryRun: true)).Text("metadata", "name"));
        Assert.Null(store.Find(Nodes, "", "node-1"));
        Assert.Equal(before, store.LastVersion);
    }

    [Fact]
    public void Object_with_a_finalizer_is_removed_with_the_finalizer()
    {
        var store = NewStore();
        store.Create(Nodes, "", With(Node("node-1"), o => o["metadata"]!["finalizers"] = new JsonArray("test/hold")));
        store.Delete(Nodes, "", "node-1");
        Assert.NotEqual("", store.Get(Nodes, "", "node-1").Text("metadata", "deletionTimestamp"));
        store.Patch(Nodes, "", "node-1", o => With(o, it => it["metadata"]!.AsObject().Remove("finalizers")));
        Assert.Null(store.Find(Nodes, "", "node-1"));
    }

    [Fact]
    public void Pod_on_a_node_is_marked_until_its_kubelet_deletes_it()
    {
        var store = NewStore(new KubeStoreOptions { GracefulPodDeletion = true });
        store.Create(Pods, "default", With(Pod("default", "web"), o => o["spec"]!["nodeName"] = "node-1"));
        store.Create(Pods, "default", Pod("default", "unscheduled"));
        Assert.Equal("2026-01-02T03:04:35Z", store.Delete(Pods, "default", "web").Text("metadata", "deletionTimestamp"));
        store.Delete(Pods, "default", "unscheduled");
        Assert.Equal(["web"], store.List(Pods, Selection.All).Items.Select(o => o.Text("metadata", "name")));
        store.Delete(Pods, "default", "web", new Preconditions(GracePeriodSeconds: 0));
        Assert.Null(store.Find(Pods, "default", "web"));
    }

    [Fact]
    public void Delete_with_another_uid_is_a_conflict()
    {
        var store = NewStore();
        store.Create(Nodes, "", Node("node-1"));
        AssertRejected(HttpStatusCode.Conflict, "Conflict", () => store.Delete(Nodes, "", "node-1", new Preconditions(Uid: "another")));
    }

    [Fact]
    public void Namespace_must_exist_and_its_deletion_deletes_its_objects()
    {
        var store = NewStore();
        AssertRejected(HttpStatusCode.NotFound, "NotFound", () => store.Create(Pods, "shop", Pod("shop", "web")));
        store.Create(BuiltInTypes.Namespaces, "", Named("shop"));
        store.Create(Pods, "shop", Pod("shop", "web"));
        store.Delete(BuiltInTypes.Namespaces, "", "shop");
        Assert.Null(store.Find(Pods, "shop", "web"));
    }

    [Fact]
    public void Watch_from_a_version_returns_each_later_write_once()
    {
        var store = NewStore();
        store.Create(Nodes, "", Node("before"));
        var from = store.LastVersion;
        store.Create(Nodes, "", Node("node-1"));
        store.Create(Pods, "default", Pod("default", "of another kind"[..2]));
        store.Patch(Nodes, "", "node-1", o => With(o, it => it["spec"]!["unschedulable"] = true));
        store.Delete(Nodes, "", "node-1");
        var batch = store.ReadChanges(Nodes, Selection.All, from);
        Assert.Equal(["ADDED node-1", "MODIFIED node-1", "DELETED node-1"], Lines(batch));
        Assert.Equal(store.LastVersion, batch.Position);
        Assert.Equal($"{store.LastVersion}", batch.Events[^1].Object.Text("metadata", "resourceVersion"));
        Assert.Empty(store.ReadChanges(Nodes, Selection.All, batch.Position).Events);
    }

    [Fact]
    public void Object_that_enters_or_leaves_a_selection_is_added_or_deleted()
    {
        var store = NewStore();
        store.Create(Pods, "default", Pod("default", "web"));
        var from = store.LastVersion;
        var onNode = new Selection(null, LabelSelector.Everything, FieldSelector.Parse("spec.nodeName=node-1", Pods));
        store.Patch(Pods, "default", "web", o => With(o, it => it["spec"]!["nodeName"] = "node-1"));
        store.Patch(Pods, "default", "web", o => With(o, it => it["metadata"]!["labels"] = new JsonObject { ["a"] = "b" }));
        store.Patch(Pods, "default", "web", o => With(o, it => it["spec"]!["nodeName"] = "node-2"));
        var batch = store.ReadChanges(Pods, onNode, from);
        Assert.Equal(["ADDED web", "MODIFIED web", "DELETED web"], Lines(batch));
        Assert.Equal("node-1", batch.Events[2].Object.Text("spec", "nodeName")); // as the watch last saw it
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Watch_from_before_the_history_is_expired(bool compacted)
    {
        var store = NewStore(new KubeStoreOptions { HistoryLength = 20 });
        var from = store.LastVersion;
        for (var count = 0; count < 20; count++)
            store.Create(Nodes, "", Node($"node-{count}"));
        Assert.Equal(20, store.ReadChanges(Nodes, Selection.All, from).Events.Count);
        if (compacted)
            store.Compact();
        else
            store.Create(Nodes, "", Node("one-more"));
        AssertRejected(HttpStatusCode.Gone, "Expired", () => store.ReadChanges(Nodes, Selection.All, from));
        Assert.Empty(store.ReadChanges(Nodes, Selection.All, store.LastVersion).Events);
    }

    [Fact]
    public async Task Wait_for_a_change_completes_with_the_next_write()
    {
        var store = NewStore();
        var waiting = store.WaitForChangeAsync(store.LastVersion);
        Assert.False(waiting.IsCompleted);
        store.Create(Nodes, "", Node("node-1"));
        await waiting.WaitAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void Pages_of_a_list_contain_every_object_once_at_one_version()
    {
        var store = NewStore();
        for (var count = 0; count < 7; count++)
            store.Create(Pods, "default", Pod("default", $"web-{count}"));
        var first = store.List(Pods, Selection.All, limit: 3);
        store.Create(Pods, "default", Pod("default", "web-9"));
        var second = store.List(Pods, Selection.All, limit: 3, first.Continue);
        var third = store.List(Pods, Selection.All, limit: 3, second.Continue);
        Assert.Equal(
            ["web-0", "web-1", "web-2", "web-3", "web-4", "web-5", "web-6", "web-9"],
            [.. first.Items.Concat(second.Items).Concat(third.Items).Select(o => o.Text("metadata", "name"))]
        );
        Assert.Equal((first.ResourceVersion, first.ResourceVersion, 4), (second.ResourceVersion, third.ResourceVersion, first.Remaining));
        Assert.Null(third.Continue);
        store.Compact();
        AssertRejected(HttpStatusCode.Gone, "Expired", () => store.List(Pods, Selection.All, limit: 3, first.Continue));
    }

    [Fact]
    public void Create_beyond_the_event_limit_removes_the_oldest()
    {
        var store = NewStore(new KubeStoreOptions { MaxEvents = 10 });
        for (var count = 0; count < 25; count++)
        {
            store.Create(BuiltInTypes.Events, "default", Named($"event-{count:D2}"));
            if (count % 2 == 0)
                store.Delete(BuiltInTypes.Events, "default", $"event-{count:D2}");
        }

        for (var count = 30; count < 40; count++)
            store.Create(BuiltInTypes.Events, "default", Named($"event-{count:D2}"));
        Assert.Equal(
            Enumerable.Range(30, 10).Select(count => $"event-{count}"),
            store.List(BuiltInTypes.Events, Selection.All).Items.Select(o => o.Text("metadata", "name"))
        );
    }

    [Fact]
    public void Event_of_either_group_is_the_same_event()
    {
        var store = NewStore();
        store.Create(
            BuiltInTypes.NewEvents,
            "default",
            new JsonObject
            {
                ["metadata"] = new JsonObject { ["name"] = "e" },
                ["note"] = "out of addresses",
                ["regarding"] = new JsonObject { ["kind"] = "Pod", ["name"] = "web" },
                ["reportingController"] = "ipamd",
            }
        );
        var core = store.Get(BuiltInTypes.Events, "default", "e");
        Assert.Equal(
            ("out of addresses", "web", "v1"),
            (core.Text("message"), core.Text("involvedObject", "name"), core.Text("apiVersion"))
        );
        Assert.Equal("out of addresses", store.Get(BuiltInTypes.NewEvents, "default", "e").Text("note"));
        Assert.Single(
            store
                .List(
                    BuiltInTypes.NewEvents,
                    new Selection(null, LabelSelector.Everything, FieldSelector.Parse("regarding.name=web", BuiltInTypes.NewEvents))
                )
                .Items
        );
    }

    [Fact]
    public void Generated_names_differ()
    {
        var store = NewStore();
        var names = Enumerable
            .Range(0, 20)
            .Select(_ =>
                store
                    .Create(Pods, "default", new JsonObject { ["metadata"] = new JsonObject { ["generateName"] = "web-" } })
                    .Text("metadata", "name")
            )
            .ToArray();
        Assert.Equal(20, names.Distinct().Count());
        Assert.All(names, name => Assert.Matches("^web-[a-z0-9]{5}$", name));
    }

    [Theory]
    [InlineData("""{"metadata":{"name":"Node_1"}}""", "metadata.name")]
    [InlineData("""{"metadata":{"name":"n","labels":{"a":1}}}""", "metadata.labels")]
    [InlineData("""{"metadata":{"name":"n","labels":{"a":"not a label"}}}""", "metadata.labels")]
    [InlineData("""{"metadata":{"name":"n","annotations":{"a/b/c":""}}}""", "metadata.annotations")]
    public void Invalid_object_is_rejected_with_the_field(string json, string field)
    {
        var error = AssertRejected(
            HttpStatusCode.UnprocessableEntity,
            "Invalid",
            () => NewStore().Create(Nodes, "", JsonNode.Parse(json)!.AsObject())
        );
        Assert.Contains(error.ToStatus().Objects("details", "causes"), cause => cause.Text("field") == field);
    }

    private static KubeStatusException AssertRejected(HttpStatusCode code, string reason, Action body)
    {
        var error = Assert.Throws<KubeStatusException>(body);
        Assert.Equal((code, reason), (error.Code, error.Reason));
        return error;
    }

    private KubeStore NewStore(KubeStoreOptions? options = null) => new(_time, new Random(1), options);

    private static IEnumerable<string> Lines(WatchBatch batch) =>
        batch.Events.Select(one => $"{one.Type} {one.Object.Text("metadata", "name")}");

    private static JsonObject Named(string name) => new() { ["metadata"] = new JsonObject { ["name"] = name } };

    private static JsonObject Node(string name) =>
        With(Named(name), o => o["spec"] = new JsonObject { ["providerID"] = "aws:///zone/i-1" });

    private static JsonObject Pod(string ns, string name) =>
        With(
            Named(name),
            o =>
            {
                o["metadata"]!["namespace"] = ns;
                o["spec"] = new JsonObject();
            }
        );

    private static JsonObject With(JsonObject o, Action<JsonObject> change)
    {
        var copy = (JsonObject)o.DeepClone();
        change(copy);
        return copy;
    }
}
