// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.Hosting;

/// <summary>Builds the lab's Kubernetes objects as kubelet on EKS and the cluster's controllers write them. Pure.</summary>
internal static class ClusterObjects
{
    public const string SystemNamespace = "kube-system";
    public const string LeaseNamespace = "kube-node-lease";

    /// <summary>Name of the daemon's DaemonSet and service account, and prefix of its pods' names.</summary>
    public const string Daemon = "aws-node";

    /// <summary>Annotation of pods that <c>vpc-lab add</c> wires, which tells the lab's kubelet not to.</summary>
    public const string AddedByLab = "vpc-lab/added-by";

    private const string KubeletVersion = "v1.32.4-vpclab";

    /// <param name="machine">The node's instance.</param>
    /// <param name="podRanges">The node's <c>spec.podCIDRs</c>; empty for none.</param>
    public static JsonObject Node(
        string name,
        LabMachine machine,
        IReadOnlyList<IPNetwork> podRanges,
        IReadOnlyList<IPAddress> addresses,
        DateTimeOffset now
    )
    {
        var node = Parse(
            $$"""
            {
              "metadata": {
                "name": "{{name}}",
                "labels": {
                  "kubernetes.io/hostname": "{{name}}", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                  "node.kubernetes.io/instance-type": "{{machine.Type}}", "beta.kubernetes.io/instance-type": "{{machine.Type}}",
                  "topology.kubernetes.io/zone": "{{machine.Zone}}", "topology.kubernetes.io/region": "{{machine.Region}}",
                  "failure-domain.beta.kubernetes.io/zone": "{{machine.Zone}}", "failure-domain.beta.kubernetes.io/region": "{{machine.Region}}"
                }
              },
              "spec": { "providerID": "{{machine.ProviderId}}" },
              "status": {
                "capacity": {{Resources(machine)}},
                "allocatable": {{Resources(machine)}},
                "addresses": [{{string.Concat(
                addresses.Select(address => $$"""{ "type": "InternalIP", "address": "{{address}}" }, """)
            )}}{ "type": "Hostname", "address": "{{name}}" }],
                "conditions": [
                  {{Condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", now)}},
                  {{Condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", now)}},
                  {{Condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available", now)}},
                  {{Condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", now)}}
                ],
                "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
                "nodeInfo": {
                  "machineID": "{{machine.Id}}", "systemUUID": "{{machine.Id}}", "bootID": "{{machine.Id}}", "kernelVersion": "{{Environment.OSVersion.Version}}", "osImage": "vpc-lab",
                  "containerRuntimeVersion": "vpc-lab://1", "kubeletVersion": "{{KubeletVersion}}", "kubeProxyVersion": "{{KubeletVersion}}", "operatingSystem": "linux", "architecture": "amd64"
                }
              }
            }
            """
        );
        if (podRanges.Count > 0)
        {
            node["spec"]!["podCIDR"] = podRanges[0].ToString();
            node["spec"]!["podCIDRs"] = new JsonArray([.. podRanges.Select(range => JsonValue.Create(range.ToString()))]);
        }

        return node;
    }

    public static JsonObject CniNode(string node) =>
        Parse(
            $$"""
            { "apiVersion": "vpcresources.k8s.aws/v1alpha1", "kind": "CNINode", "metadata": { "name": "{{node}}" }, "spec": {} }
            """
        );

    public static JsonObject Lease(string node, DateTimeOffset now) =>
        Parse(
            $$"""
            {
              "metadata": { "name": "{{node}}" },
              "spec": { "holderIdentity": "{{node}}", "leaseDurationSeconds": 40, "acquireTime": "{{KubeJson.MicroTimestamp(
                now
            )}}", "renewTime": "{{KubeJson.MicroTimestamp(now)}}" }
            }
            """
        );

    public static JsonObject ServiceAccount() => Parse($$"""{ "metadata": { "name": "{{Daemon}}" } }""");

    public static JsonObject DaemonSet() =>
        Parse(
            $$"""
            {
              "metadata": { "name": "{{Daemon}}", "labels": { "k8s-app": "{{Daemon}}" } },
              "spec": {
                "selector": { "matchLabels": { "k8s-app": "{{Daemon}}" } },
                "template": { "metadata": { "labels": { "k8s-app": "{{Daemon}}" } }, "spec": { "hostNetwork": true, "containers": [{ "name": "{{Daemon}}", "image": "vpc-cni" }] } }
              }
            }
            """
        );

    /// <summary>The pod that represents the node's daemon.</summary>
    public static JsonObject DaemonPod(string node, JsonObject daemonSet) =>
        Parse(
            $$"""
            {
              "metadata": {
                "name": "{{DaemonPodName(node)}}", "labels": { "k8s-app": "{{Daemon}}", "app.kubernetes.io/name": "{{Daemon}}" },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "{{Daemon}}", "uid": "{{daemonSet.Text(
                "metadata",
                "uid"
            )}}", "controller": true, "blockOwnerDeletion": true }]
              },
              "spec": {
                "nodeName": "{{node}}", "hostNetwork": true, "serviceAccountName": "{{Daemon}}", "priorityClassName": "system-node-critical",
                "containers": [{ "name": "{{Daemon}}", "image": "vpc-cni" }], "tolerations": [{ "operator": "Exists" }]
              }
            }
            """
        );

    public static string DaemonPodName(string node) => $"{Daemon}-{node}";

    /// <summary>A pod of <c>vpc-lab add</c>.</summary>
    public static JsonObject Pod(string node, PodName pod) =>
        Parse(
            $$"""
            {
              "metadata": { "name": "{{pod.Name}}", "annotations": { "{{AddedByLab}}": "vpc-lab add" } },
              "spec": { "nodeName": "{{node}}", "containers": [{ "name": "app", "image": "vpc-lab" }], "tolerations": [{ "operator": "Exists" }] }
            }
            """
        );

    /// <summary>Status of a pod whose network is wired. The first address of each list is podIP and hostIP.</summary>
    public static JsonObject RunningStatus(
        JsonObject pod,
        IReadOnlyList<IPAddress> podAddresses,
        IReadOnlyList<IPAddress> nodeAddresses,
        DateTimeOffset now
    )
    {
        static string List(IReadOnlyList<IPAddress> addresses) =>
            string.Join(", ", addresses.Select(address => $$"""{ "ip": "{{address}}" }"""));
        var at = KubeJson.Timestamp(now);
        var status = Parse(
            $$"""
            {
              "phase": "Running", "hostIP": "{{nodeAddresses[0]}}", "hostIPs": [{{List(nodeAddresses)}}], "podIP": "{{podAddresses[
                0
            ]}}", "podIPs": [{{List(podAddresses)}}], "startTime": "{{at}}",
              "qosClass": "BestEffort",
              "conditions": [
                { "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": "{{at}}" }, { "type": "Initialized", "status": "True", "lastProbeTime": null, "lastTransitionTime": "{{at}}" },
                { "type": "ContainersReady", "status": "True", "lastProbeTime": null, "lastTransitionTime": "{{at}}" }, { "type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": "{{at}}" }
              ]
            }
            """
        );
        status["containerStatuses"] = new JsonArray([
            .. pod.Objects("spec", "containers")
                .Select(container => new JsonObject
                {
                    ["name"] = container.Text("name"),
                    ["image"] = container.Text("image"),
                    ["imageID"] = "",
                    ["ready"] = true,
                    ["started"] = true,
                    ["restartCount"] = 0,
                    ["state"] = new JsonObject { ["running"] = new JsonObject { ["startedAt"] = at } },
                    ["lastState"] = new JsonObject(),
                }),
        ]);
        return status;
    }

    /// <summary>Status of a scheduled pod whose network is not wired yet.</summary>
    public static JsonObject WaitingStatus(JsonObject pod, DateTimeOffset now) =>
        new()
        {
            ["phase"] = "Pending",
            ["qosClass"] = "BestEffort",
            ["conditions"] = new JsonArray(
                new JsonObject
                {
                    ["type"] = "PodScheduled",
                    ["status"] = "True",
                    ["lastProbeTime"] = null,
                    ["lastTransitionTime"] = KubeJson.Timestamp(now),
                }
            ),
            ["containerStatuses"] = new JsonArray([
                .. pod.Objects("spec", "containers")
                    .Select(container => new JsonObject
                    {
                        ["name"] = container.Text("name"),
                        ["image"] = container.Text("image"),
                        ["imageID"] = "",
                        ["ready"] = false,
                        ["started"] = false,
                        ["restartCount"] = 0,
                        ["state"] = new JsonObject { ["waiting"] = new JsonObject { ["reason"] = "ContainerCreating" } },
                        ["lastState"] = new JsonObject(),
                    }),
            ]),
        };

    /// <summary>Status of a pod that fits on no node.</summary>
    public static JsonObject UnschedulableStatus(string why, DateTimeOffset now) =>
        new()
        {
            ["phase"] = "Pending",
            ["qosClass"] = "BestEffort",
            ["conditions"] = new JsonArray(
                new JsonObject
                {
                    ["type"] = "PodScheduled",
                    ["status"] = "False",
                    ["reason"] = "Unschedulable",
                    ["message"] = why,
                    ["lastProbeTime"] = null,
                    ["lastTransitionTime"] = KubeJson.Timestamp(now),
                }
            ),
        };

    /// <summary>An event about a pod.</summary>
    public static JsonObject Event(JsonObject pod, string type, string reason, string message, string component, DateTimeOffset now) =>
        new()
        {
            ["metadata"] = new JsonObject { ["generateName"] = pod.Text("metadata", "name") + "." },
            ["involvedObject"] = new JsonObject
            {
                ["kind"] = "Pod",
                ["apiVersion"] = "v1",
                ["namespace"] = pod.Text("metadata", "namespace"),
                ["name"] = pod.Text("metadata", "name"),
                ["uid"] = pod.Text("metadata", "uid"),
            },
            ["type"] = type,
            ["reason"] = reason,
            ["message"] = message,
            ["count"] = 1,
            ["source"] = new JsonObject { ["component"] = component },
            ["firstTimestamp"] = KubeJson.Timestamp(now),
            ["lastTimestamp"] = KubeJson.Timestamp(now),
        };

    private static string Resources(LabMachine machine) =>
        $$"""{ "cpu": "{{machine.Vcpus}}", "memory": "{{machine.MemoryMebibytes * 1024L}}Ki", "pods": "{{machine.MaxPods}}" }""";

    private static string Condition(string type, string status, string reason, string message, DateTimeOffset now) =>
        $$"""
            { "type": "{{type}}", "status": "{{status}}", "reason": "{{reason}}", "message": "{{message}}", "lastHeartbeatTime": "{{KubeJson.Timestamp(
                now
            )}}", "lastTransitionTime": "{{KubeJson.Timestamp(now)}}" }
            """;

    private static JsonObject Parse(string json) => JsonNode.Parse(json)!.AsObject();
}
