// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Tests server-side apply on the store.</summary>
public sealed class ApplyPatchTests
{
    private readonly KubeStore _store = new(new ManualTimeProvider(), new Random(1));

    [Fact]
    public void Apply_creates_changes_and_removes_fields_no_longer_applied()
    {
        var (created, isNew) = Apply("a", """{ "spec": { "providerID": "x", "podCIDR": "10.0.0.0/24" } }""");
        Assert.True(isNew);
        Assert.Equal("a", Assert.Single(created.Objects("metadata", "managedFields")).Text("manager"));
        var (changed, again) = Apply("a", """{ "spec": { "providerID": "y" } }""");
        Assert.False(again);
        Assert.Equal(("y", null), (changed.Text("spec", "providerID"), changed.At("spec", "podCIDR")));
    }

    [Fact]
    public void Apply_leaves_fields_of_other_managers_unchanged()
    {
        Apply("a", """{ "metadata": { "labels": { "one": "1" } } }""");
        Apply("b", """{ "metadata": { "labels": { "two": "2" } } }""");
        _store.Patch(
            BuiltInTypes.Nodes,
            "",
            "node-1",
            o => MergePatch.Apply(o, JsonNode.Parse("""{ "metadata": { "labels": { "three": "3" } } }""")!.AsObject())
        );
        Apply("a", """{ "metadata": { "annotations": { "x": "y" } } }""");
        var labels = _store.Get(BuiltInTypes.Nodes, "", "node-1").At("metadata", "labels")!;
        Assert.Equal(
            ["three=3", "two=2"],
            labels.AsObject().Select(pair => $"{pair.Key}={pair.Value.Text()}").Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void Apply_of_another_managers_field_conflicts_unless_forced()
    {
        Apply("a", """{ "spec": { "providerID": "x" } }""");
        Apply("b", """{ "spec": { "providerID": "x" } }"""); // the same value is shared
        var error = Assert.Throws<KubeStatusException>(() => Apply("b", """{ "spec": { "providerID": "y" } }"""));
        Assert.Equal(
            (HttpStatusCode.Conflict, "Apply failed with 1 conflict: conflict with \"a\": .spec.providerID"),
            (error.Code, error.Message)
        );
        Apply("b", """{ "spec": { "providerID": "y" } }""", force: true);
        Apply("a", "{}"); // no longer its own, so nothing is taken out
        Assert.Equal("y", _store.Get(BuiltInTypes.Nodes, "", "node-1").Text("spec", "providerID"));
    }

    [Fact]
    public void Apply_merges_lists_with_a_key_by_item()
    {
        JsonObject Pod(string json) => JsonNode.Parse(json)!.AsObject();
        _store.Apply(
            BuiltInTypes.Pods,
            "default",
            "web",
            Pod("""{ "spec": { "containers": [{ "name": "one", "image": "x" }] } }"""),
            "a",
            force: false
        );
        _store.Apply(
            BuiltInTypes.Pods,
            "default",
            "web",
            Pod("""{ "spec": { "containers": [{ "name": "two", "image": "y" }] } }"""),
            "b",
            force: false
        );
        _store.Apply(
            BuiltInTypes.Pods,
            "default",
            "web",
            Pod("""{ "spec": { "containers": [{ "name": "one", "image": "z" }] } }"""),
            "a",
            force: false
        );
        Assert.Equal(["one z", "two y"], Containers());
        _store.Apply(BuiltInTypes.Pods, "default", "web", Pod("{}"), "a", force: false);
        Assert.Equal(["two y"], Containers());

        IEnumerable<string> Containers() =>
            _store
                .Get(BuiltInTypes.Pods, "default", "web")
                .Objects("spec", "containers")
                .Select(container => $"{container.Text("name")} {container.Text("image")}");
    }

    private (JsonObject Object, bool IsNew) Apply(string manager, string json, bool force = false) =>
        _store.Apply(BuiltInTypes.Nodes, "", "node-1", JsonNode.Parse(json)!.AsObject(), manager, force);
}
