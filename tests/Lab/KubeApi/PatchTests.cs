// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Tests the three kinds of patches, on JSON only.</summary>
public sealed class PatchTests
{
    /// <summary>Examples from RFC 7386, appendix A, and patches that Kubernetes clients send.</summary>
    [Theory]
    [InlineData("""{"a":"b"}""", """{"a":"c"}""", """{"a":"c"}""")]
    [InlineData("""{"a":"b"}""", """{"b":"c"}""", """{"a":"b","b":"c"}""")]
    [InlineData("""{"a":"b","b":"c"}""", """{"a":null}""", """{"b":"c"}""")]
    [InlineData("""{"a":["b"]}""", """{"a":"c"}""", """{"a":"c"}""")]
    [InlineData("""{"a":"c"}""", """{"a":["b"]}""", """{"a":["b"]}""")]
    [InlineData("""{"a":{"b":"c"}}""", """{"a":{"b":"d","c":null}}""", """{"a":{"b":"d"}}""")]
    [InlineData("""{"a":[{"b":"c"}]}""", """{"a":[1]}""", """{"a":[1]}""")]
    [InlineData("""{}""", """{"a":{"bb":{"ccc":null}}}""", """{"a":{"bb":{}}}""")]
    public void Merge_patch_returns_the_merged_object(string target, string patch, string expected) =>
        AssertJson(expected, MergePatch.Apply(Parse(target), Parse(patch)));

    /// <summary>Examples from RFC 6902, appendix A.</summary>
    [Theory]
    [InlineData("""{"foo":"bar"}""", """[{"op":"add","path":"/baz","value":"qux"}]""", """{"baz":"qux","foo":"bar"}""")]
    [InlineData("""{"foo":["bar","baz"]}""", """[{"op":"add","path":"/foo/1","value":"qux"}]""", """{"foo":["bar","qux","baz"]}""")]
    [InlineData("""{"foo":["bar"]}""", """[{"op":"add","path":"/foo/-","value":["abc","def"]}]""", """{"foo":["bar",["abc","def"]]}""")]
    [InlineData("""{"baz":"qux","foo":"bar"}""", """[{"op":"remove","path":"/baz"}]""", """{"foo":"bar"}""")]
    [InlineData("""{"foo":["bar","qux","baz"]}""", """[{"op":"remove","path":"/foo/1"}]""", """{"foo":["bar","baz"]}""")]
    [InlineData("""{"baz":"qux","foo":"bar"}""", """[{"op":"replace","path":"/baz","value":"boo"}]""", """{"baz":"boo","foo":"bar"}""")]
    [InlineData(
        """{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}""",
        """[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]""",
        """{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"""
    )]
    [InlineData(
        """{"foo":["all","grass","cows","eat"]}""",
        """[{"op":"move","from":"/foo/1","path":"/foo/3"}]""",
        """{"foo":["all","cows","eat","grass"]}"""
    )]
    [InlineData(
        """{"/":9,"~1":10}""",
        """[{"op":"test","path":"/~01","value":10},{"op":"add","path":"/a~1b","value":null}]""",
        """{"/":9,"~1":10,"a/b":null}"""
    )]
    public void Json_patch_returns_the_changed_object(string target, string patch, string expected) =>
        AssertJson(expected, JsonPatch.Apply(Parse(target), JsonNode.Parse(patch)));

    [Theory]
    [InlineData("""[{"op":"test","path":"/foo","value":"other"}]""")]
    [InlineData("""[{"op":"remove","path":"/absent"}]""")]
    [InlineData("""[{"op":"replace","path":"/absent","value":1}]""")]
    [InlineData("""[{"op":"add","path":"/absent/deeper","value":1}]""")]
    [InlineData("""[{"op":"add","path":"/list/7","value":1}]""")]
    [InlineData("""[{"op":"jump","path":"/foo"}]""")]
    [InlineData("""[{"op":"add","path":"foo","value":1}]""")]
    [InlineData("""{"op":"add"}""")]
    public void Json_patch_that_cannot_be_applied_is_rejected(string patch) =>
        Assert.Throws<KubeStatusException>(() => JsonPatch.Apply(Parse("""{"foo":"bar","list":[]}"""), JsonNode.Parse(patch)));

    [Theory]
    [InlineData("""{"spec":{"taints":[{"key":"a"}]}}""", """{"spec":{"taints":[{"key":"b"}]}}""", """{"spec":{"taints":[{"key":"b"}]}}""")] // atomic
    [InlineData(
        """{"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"X","status":"True"}]}}""",
        """{"status":{"conditions":[{"type":"Ready","status":"False"}]}}""",
        """{"status":{"conditions":[{"type":"Ready","status":"False"},{"type":"X","status":"True"}]}}"""
    )]
    [InlineData(
        """{"status":{"conditions":[{"type":"Ready"},{"type":"X"}]}}""",
        """{"status":{"conditions":[{"type":"X","$patch":"delete"},{"type":"Y"}]}}""",
        """{"status":{"conditions":[{"type":"Ready"},{"type":"Y"}]}}"""
    )]
    [InlineData(
        """{"containers":[{"name":"a"},{"name":"b"}]}""",
        """{"containers":[{"$patch":"replace"},{"name":"c"}]}""",
        """{"containers":[{"name":"c"}]}"""
    )]
    [InlineData(
        """{"containers":[{"name":"a"},{"name":"b"}]}""",
        """{"$setElementOrder/containers":[{"name":"c"},{"name":"b"},{"name":"a"}],"containers":[{"name":"c"}]}""",
        """{"containers":[{"name":"c"},{"name":"b"},{"name":"a"}]}"""
    )]
    [InlineData(
        """{"metadata":{"finalizers":["a","b"]}}""",
        """{"metadata":{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["c"]}}""",
        """{"metadata":{"finalizers":["b","c"]}}"""
    )]
    [InlineData("""{"a":{"x":1,"y":2}}""", """{"a":{"$retainKeys":["y","z"],"z":3}}""", """{"a":{"y":2,"z":3}}""")]
    [InlineData("""{"a":{"x":1}}""", """{"a":{"$patch":"replace","y":2}}""", """{"a":{"y":2}}""")]
    [InlineData(
        """{"metadata":{"labels":{"a":"1"}}}""",
        """{"metadata":{"labels":{"a":null,"b":"2"},"annotations":{"c":"3"}}}""",
        """{"metadata":{"labels":{"b":"2"},"annotations":{"c":"3"}}}"""
    )]
    public void Strategic_merge_returns_the_merged_object(string target, string patch, string expected) =>
        AssertJson(expected, StrategicMerge.Apply(Parse(target), Parse(patch)));

    private static JsonObject Parse(string json) => JsonNode.Parse(json)!.AsObject();

    private static void AssertJson(string expected, JsonObject actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), actual), $"expected {expected}, got {actual.ToJsonString()}");
}
