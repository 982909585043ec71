// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;
using Xunit;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Tests protobuf bodies, which are written here field by field.</summary>
public sealed class ProtobufBodyTests
{
    [Fact]
    public void Delete_options_are_read()
    {
        var body = Envelope("v1", "DeleteOptions", [.. Varint(1, 0), .. Bytes(2, Bytes(1, "uid-1"u8)), .. Bytes(5, "All"u8)]);
        Assert.True(
            JsonNode.DeepEquals(
                JsonNode.Parse(
                    """{ "gracePeriodSeconds": 0, "preconditions": { "uid": "uid-1" }, "dryRun": ["All"], "apiVersion": "v1", "kind": "DeleteOptions" }"""
                ),
                KubeJson.Normalize(ProtobufBody.Read(body))
            )
        );
    }

    [Fact]
    public void Namespace_with_labels_is_read_without_its_empty_fields()
    {
        var meta = Bytes(
            1,
            [
                .. Bytes(1, "shop"u8),
                .. Bytes(2, ""u8),
                .. Varint(7, 0),
                .. Bytes(8, ""u8),
                .. Bytes(11, [.. Bytes(1, "a"u8), .. Bytes(2, "b"u8)]),
            ]
        );
        var read = ProtobufBody.Read(Envelope("v1", "Namespace", [.. meta, .. Bytes(2, ""u8), .. Bytes(3, ""u8)]));
        Assert.Equal(("shop", "b"), (read.Text("metadata", "name"), read.Text("metadata", "labels", "a")));
    }

    [Fact]
    public void Unknown_kind_or_field_is_rejected()
    {
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, Refused(Envelope("v1", "Node", [])));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, Refused(Envelope("v1", "Namespace", Bytes(1, Bytes(4, "a self-link"u8)))));
        // A cloud volume, which is not supported: dropping the field would remove the volume from the pod.
        byte[] volume = [.. Bytes(1, "data"u8), .. Bytes(2, Bytes(4, Bytes(1, "vol-1"u8)))];
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, Refused(Envelope("v1", "Pod", Bytes(2, Bytes(1, volume)))));
    }

    /// <summary>Written as Go's encoder does, which also writes empty fields.</summary>
    [Fact]
    public void Pod_is_read_as_the_json_of_the_same_pod()
    {
        byte[] quantity = Bytes(1, "100m"u8),
            time = Varint(1, 60);
        byte[] meta =
        [
            .. Bytes(1, "web-0"u8),
            .. Bytes(2, ""u8),
            .. Bytes(3, "shop"u8),
            .. Bytes(4, ""u8),
            .. Bytes(5, "uid-1"u8),
            .. Bytes(6, "7"u8),
            .. Varint(7, 0),
            .. Bytes(8, time),
            .. Bytes(12, [.. Bytes(1, "k8s.v1.cni.cncf.io/network-status"u8), .. Bytes(2, "[]"u8)]),
            .. Bytes(
                13,
                [
                    .. Bytes(1, "StatefulSet"u8),
                    .. Bytes(3, "web"u8),
                    .. Bytes(4, "u"u8),
                    .. Bytes(5, "apps/v1"u8),
                    .. Varint(6, 1),
                    .. Varint(7, 0),
                ]
            ),
            .. Bytes(17, [.. Bytes(1, "kubelet"u8), .. Bytes(2, "Update"u8), .. Bytes(7, Bytes(1, """{"f:status":{}}"""u8))]),
        ];
        byte[] probe =
        [
            .. Bytes(
                1,
                Bytes(2, [.. Bytes(1, "/"u8), .. Bytes(2, [.. Varint(1, 0), .. Varint(2, 80), .. Bytes(3, ""u8)]), .. Bytes(3, ""u8)])
            ),
            .. Varint(2, 0),
            .. Varint(3, 1),
        ];
        byte[] container =
        [
            .. Bytes(1, "c"u8),
            .. Bytes(2, "busybox"u8),
            .. Bytes(3, "sleep"u8),
            .. Bytes(3, ""u8),
            .. Bytes(6, [.. Bytes(1, ""u8), .. Varint(2, 0), .. Varint(3, 80), .. Bytes(4, "TCP"u8)]),
            .. Bytes(
                7,
                [
                    .. Bytes(1, "E"u8),
                    .. Bytes(2, ""u8),
                    .. Bytes(3, Bytes(4, [.. Bytes(1, Bytes(1, "s"u8)), .. Bytes(2, "k"u8), .. Varint(3, 0)])),
                ]
            ),
            .. Bytes(8, Bytes(2, [.. Bytes(1, "cpu"u8), .. Bytes(2, quantity)])),
            .. Bytes(10, probe),
            .. Bytes(15, [.. Bytes(1, Bytes(1, "NET_ADMIN"u8)), .. Varint(4, 0), .. Varint(5, 0)]),
            .. Varint(16, 0),
            .. Varint(18, 0),
        ];
        byte[] spec =
        [
            .. Bytes(1, [.. Bytes(1, "tmp"u8), .. Bytes(2, Bytes(2, Bytes(1, ""u8)))]),
            .. Bytes(2, container),
            .. Bytes(3, "Always"u8),
            .. Varint(4, 30),
            .. Bytes(10, "node-1"u8),
            .. Varint(11, 0),
            .. Bytes(14, [.. Varint(4, 1), .. Varint(4, 2)]),
            .. Varint(21, 0),
            .. Bytes(22, [.. Bytes(2, "Exists"u8), .. Varint(5, 0)]),
            .. Varint(25, 0),
        ];
        byte[] status =
        [
            .. Bytes(1, "Running"u8),
            .. Bytes(2, [.. Bytes(1, "Ready"u8), .. Bytes(2, "True"u8), .. Bytes(3, ""u8), .. Bytes(4, time)]),
            .. Bytes(6, "10.0.0.5"u8),
            .. Bytes(8, [.. Bytes(1, "c"u8), .. Bytes(2, Bytes(2, Bytes(1, time))), .. Varint(4, 1), .. Varint(5, 0)]),
            .. Bytes(12, Bytes(1, "10.0.0.5"u8)),
        ];

        var read = KubeJson.Normalize(
            ProtobufBody.Read(Envelope("v1", "Pod", [.. Bytes(1, meta), .. Bytes(2, spec), .. Bytes(3, status)]))
        );

        var expected = JsonNode.Parse(
            """
            {
              "apiVersion": "v1", "kind": "Pod",
              "metadata": {
                "name": "web-0", "namespace": "shop", "uid": "uid-1", "resourceVersion": "7", "creationTimestamp": "1970-01-01T00:01:00Z",
                "annotations": { "k8s.v1.cni.cncf.io/network-status": "[]" },
                "ownerReferences": [
                  {
                    "kind": "StatefulSet", "name": "web", "uid": "u", "apiVersion": "apps/v1", "controller": true, "blockOwnerDeletion": false
                  }
                ],
                "managedFields": [{ "manager": "kubelet", "operation": "Update", "fieldsV1": { "f:status": {} } }]
              },
              "spec": {
                "volumes": [{ "name": "tmp", "emptyDir": {} }],
                "containers": [
                  {
                    "name": "c", "image": "busybox", "command": ["sleep", ""], "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                    "env": [{ "name": "E", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k", "optional": false } } }],
                    "resources": { "requests": { "cpu": "100m" } },
                    "livenessProbe": { "httpGet": { "path": "/", "port": 80 }, "timeoutSeconds": 1 },
                    "securityContext": { "capabilities": { "add": ["NET_ADMIN"] }, "runAsUser": 0, "runAsNonRoot": false }
                  }
                ],
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "nodeName": "node-1",
                "securityContext": { "supplementalGroups": [1, 2] }, "automountServiceAccountToken": false,
                "tolerations": [{ "operator": "Exists", "tolerationSeconds": 0 }], "priority": 0
              },
              "status": {
                "phase": "Running", "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:01:00Z" }],
                "podIP": "10.0.0.5", "podIPs": [{ "ip": "10.0.0.5" }],
                "containerStatuses": [
                  { "name": "c", "state": { "running": { "startedAt": "1970-01-01T00:01:00Z" } }, "ready": true, "restartCount": 0 }
                ]
              }
            }
            """
        );
        Assert.True(JsonNode.DeepEquals(expected, read), read.ToJsonString());
    }

    /// <summary>
    /// Does what Multus does: reads the pod, sets its annotation and updates the status. The response is JSON, which such clients accept in
    /// addition to protobuf.
    /// </summary>
    [Fact]
    public async Task Update_as_protobuf_changes_status_and_object_separately()
    {
        await using var host = await KubeHost.StartAsync();
        host.Store.Create(BuiltInTypes.Namespaces, "", (JsonObject)JsonNode.Parse("""{ "metadata": { "name": "shop" } }""")!);
        const string pods = "/api/v1/namespaces/shop/pods";
        var created = await host.SendAsync(
            HttpMethod.Post,
            pods,
            """{ "metadata": { "name": "web-0" }, "spec": { "nodeName": "node-1", "containers": [{ "name": "c", "image": "i" }] } }"""
        );
        Assert.Equal(HttpStatusCode.Created, created.Status);
        var version = Encoding.UTF8.GetBytes(created.Body.Text("metadata", "resourceVersion"));

        byte[] Pod(string image, params (string Name, string Value)[] annotations) =>
            [
                .. Bytes(
                    1,
                    [
                        .. Bytes(1, "web-0"u8),
                        .. Bytes(3, "shop"u8),
                        .. Bytes(6, version),
                        .. annotations.SelectMany(pair =>
                            Bytes(12, [.. Bytes(1, Encoding.UTF8.GetBytes(pair.Name)), .. Bytes(2, Encoding.UTF8.GetBytes(pair.Value))])
                        ),
                    ]
                ),
                .. Bytes(2, [.. Bytes(2, [.. Bytes(1, "c"u8), .. Bytes(2, Encoding.UTF8.GetBytes(image))]), .. Bytes(10, "node-1"u8)]),
                .. Bytes(3, Bytes(1, "Running"u8)),
            ];

        var status = await PutAsync(host, $"{pods}/web-0/status", Pod("ignored", ("networks", "a")));
        Assert.Equal(HttpStatusCode.OK, status.Status);
        Assert.Equal(
            ("a", "Running", "i"),
            (
                status.Body.Text("metadata", "annotations", "networks"),
                status.Body.Text("status", "phase"),
                status.Body.Objects("spec", "containers").Single().Text("image")
            )
        );

        Assert.Equal(HttpStatusCode.Conflict, (await PutAsync(host, $"{pods}/web-0", Pod("j"))).Status);
        version = Encoding.UTF8.GetBytes(status.Body.Text("metadata", "resourceVersion"));
        var updated = await PutAsync(host, $"{pods}/web-0", Pod("j", ("networks", "b")));
        Assert.Equal(
            ("b", "Running", "j"),
            (
                updated.Body.Text("metadata", "annotations", "networks"),
                updated.Body.Text("status", "phase"),
                updated.Body.Objects("spec", "containers").Single().Text("image")
            )
        );
        var patched = await host.SendAsync(
            HttpMethod.Patch,
            $"{pods}/web-0",
            """{ "metadata": { "annotations": { "more": "c" } } }""",
            "application/strategic-merge-patch+json",
            "application/vnd.kubernetes.protobuf,application/json"
        );
        Assert.Equal(
            ("b", "c"),
            (patched.Body.Text("metadata", "annotations", "networks"), patched.Body.Text("metadata", "annotations", "more"))
        );
    }

    [Fact]
    public void Port_by_name_and_a_negative_number_are_read()
    {
        byte[] probe = Bytes(1, Bytes(3, Bytes(1, [.. Varint(1, 1), .. Varint(2, 0), .. Bytes(3, "http"u8)])));
        byte[] negative = [0xF8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        byte[] spec = [.. Bytes(2, Bytes(10, probe)), .. Number(25 << 3), .. negative];
        var read = ProtobufBody.Read(Envelope("v1", "Pod", Bytes(2, spec)));
        Assert.Equal("http", read["spec"]!["containers"]![0]!["livenessProbe"]!["tcpSocket"].Text("port"));
        Assert.Equal(-8, (long)read["spec"]!["priority"]!);
    }

    [Fact]
    public void Field_of_a_wrong_wire_type_or_an_out_of_range_time_is_rejected()
    {
        Assert.Equal(HttpStatusCode.BadRequest, Refused(Envelope("v1", "Pod", Varint(1, 1))));
        Assert.Equal(HttpStatusCode.BadRequest, Refused(Envelope("v1", "Pod", Bytes(2, Bytes(4, "thirty"u8)))));
        Assert.Equal(
            HttpStatusCode.BadRequest,
            Refused(Envelope("v1", "Pod", Bytes(1, Bytes(8, [8, 255, 255, 255, 255, 255, 255, 255, 255, 127]))))
        );
    }

    [Theory]
    [InlineData("")]
    [InlineData("6B387300FF")]
    [InlineData("6B3873000AFFFFFFFFFFFFFFFFFFFF01")]
    [InlineData("6B38730012057B")]
    public void Malformed_body_is_rejected(string hex) => Assert.Equal(HttpStatusCode.BadRequest, Refused(Convert.FromHexString(hex)));

    private static async Task<KubeReply> PutAsync(KubeHost host, string path, byte[] pod)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, path)
        {
            Content = new ByteArrayContent(Envelope("v1", "Pod", pod)) { Headers = { ContentType = new(ProtobufBody.MediaType) } },
        };
        request.Headers.TryAddWithoutValidation("Accept", "application/vnd.kubernetes.protobuf,application/json");
        using var response = await host.Client.SendAsync(request);
        var body = JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject();
        return new KubeReply(response.StatusCode, body, RetryAfter: null, "");
    }

    private static HttpStatusCode Refused(byte[] body) => Assert.Throws<KubeStatusException>(() => ProtobufBody.Read(body)).Code;

    private static byte[] Envelope(string apiVersion, string kind, byte[] raw) =>
        [
            .. "k8s\0"u8,
            .. Bytes(1, [.. Bytes(1, Encoding.UTF8.GetBytes(apiVersion)), .. Bytes(2, Encoding.UTF8.GetBytes(kind))]),
            .. Bytes(2, raw),
        ];

    private static byte[] Bytes(int field, ReadOnlySpan<byte> content) =>
        [.. Number(field << 3 | 2), .. Number(content.Length), .. content];

    private static byte[] Varint(int field, byte value) => [.. Number(field << 3), value];

    /// <summary>A varint.</summary>
    private static byte[] Number(int value) => value < 0x80 ? [(byte)value] : [(byte)(value & 0x7F | 0x80), .. Number(value >> 7)];
}
