// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Bodies as protobuf, written here field by field.</summary>
public sealed class ProtobufBodyTests
{
    [Fact]
    public void Options_of_a_deletion_are_read()
    {
        var body = Envelope("v1", "DeleteOptions", [.. Varint(1, 0), .. Bytes(2, Bytes(1, "uid-1"u8)), .. Bytes(5, "All"u8)]);
        Assert.True(JsonNode.DeepEquals(
            JsonNode.Parse("""{ "gracePeriodSeconds": 0, "preconditions": { "uid": "uid-1" }, "dryRun": ["All"], "apiVersion": "v1", "kind": "DeleteOptions" }"""), KubeJson.Normalize(ProtobufBody.Read(body))));
    }

    [Fact]
    public void Namespace_with_labels_is_read_and_empty_fields_are_nothing()
    {
        var meta = Bytes(1, [.. Bytes(1, "shop"u8), .. Bytes(2, ""u8), .. Varint(7, 0), .. Bytes(8, ""u8), .. Bytes(11, [.. Bytes(1, "a"u8), .. Bytes(2, "b"u8)])]);
        var read = ProtobufBody.Read(Envelope("v1", "Namespace", [.. meta, .. Bytes(2, ""u8), .. Bytes(3, ""u8)]));
        Assert.Equal(("shop", "b"), (read.Text("metadata", "name"), read.Text("metadata", "labels", "a")));
    }

    [Fact]
    public void What_is_not_known_is_refused_and_not_dropped()
    {
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, Refused(Envelope("v1", "Pod", [])));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, Refused(Envelope("v1", "Namespace", Bytes(1, Bytes(13, "an owner"u8)))));
    }

    [Theory]
    [InlineData("")]
    [InlineData("6B387300FF")]
    [InlineData("6B3873000AFFFFFFFFFFFFFFFFFFFF01")]
    [InlineData("6B38730012057B")]
    public void Broken_body_is_refused(string hex) => Assert.Equal(HttpStatusCode.BadRequest, Refused(Convert.FromHexString(hex)));

    private static HttpStatusCode Refused(byte[] body) => Assert.Throws<KubeStatusException>(() => ProtobufBody.Read(body)).Code;

    private static byte[] Envelope(string apiVersion, string kind, byte[] raw)
        => [.. "k8s\0"u8, .. Bytes(1, [.. Bytes(1, Encoding.UTF8.GetBytes(apiVersion)), .. Bytes(2, Encoding.UTF8.GetBytes(kind))]), .. Bytes(2, raw)];

    private static byte[] Bytes(int field, ReadOnlySpan<byte> content) => [(byte)(field << 3 | 2), (byte)content.Length, .. content];

    private static byte[] Varint(int field, byte value) => [(byte)(field << 3), value];
}
