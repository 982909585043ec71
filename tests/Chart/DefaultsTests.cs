// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Ipamd.Options;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>The objects of an installation whose only value is the image.</summary>
public sealed class DefaultsTests
{
    private static readonly Lazy<RenderedChart> Chart = new(() => HelmRenderer.Render(HelmRenderer.WithImage));

    [Fact]
    public void Defaults_render_six_objects_with_the_names_of_aws_node() =>
        Assert.Equal(
            [
                "CustomResourceDefinition eniconfigs.crd.k8s.amazonaws.com",
                "ConfigMap amazon-vpc-cni",
                "DaemonSet aws-node",
                "ClusterRole aws-node",
                "ClusterRoleBinding aws-node",
                "ServiceAccount aws-node",
            ],
            Chart.Value.Names
        );

    [Fact]
    public void Objects_have_a_version_a_name_and_the_labels_of_the_chart()
    {
        foreach (var item in Chart.Value.Objects)
        {
            Assert.NotNull((string?)item["apiVersion"]);
            Assert.Matches("^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", (string)item["metadata"]!["name"]!);
            if ((string)item["kind"]! == "CustomResourceDefinition")
                continue;
            var labels = item["metadata"]!["labels"]!;
            Assert.Equal(
                ("aws-node", "aws-vpc-cni", "Helm", "aws-node"),
                (
                    (string)labels["app.kubernetes.io/name"]!,
                    (string)labels["app.kubernetes.io/instance"]!,
                    (string)labels["app.kubernetes.io/managed-by"]!,
                    (string)labels["k8s-app"]!
                )
            );
        }
    }

    [Fact]
    public void Selector_of_the_daemonset_selects_its_pods()
    {
        var spec = Chart.Value.Single("DaemonSet")["spec"]!;
        var labels = (JsonObject)spec["template"]!["metadata"]!["labels"]!;
        Assert.NotEmpty(spec["selector"]!["matchLabels"]!.AsObject());
        foreach (var (name, value) in spec["selector"]!["matchLabels"]!.AsObject())
            Assert.Equal((string?)value, (string?)labels[name]);
    }

    [Fact]
    public void Pods_use_the_host_network_have_top_priority_and_tolerate_all_taints()
    {
        var spec = Chart.Value.PodSpec;
        Assert.True((bool)spec["hostNetwork"]!);
        Assert.Equal("system-node-critical", (string?)spec["priorityClassName"]);
        Assert.Equal("aws-node", (string?)spec["serviceAccountName"]);
        Assert.Equal("""[{"operator":"Exists"}]""", spec["tolerations"]!.ToJsonString());
        Assert.Equal(10, (int)spec["terminationGracePeriodSeconds"]!);
        Assert.Equal(
            """{"rollingUpdate":{"maxUnavailable":"10%"},"type":"RollingUpdate"}""",
            Chart.Value.Single("DaemonSet")["spec"]!["updateStrategy"]!.ToJsonString()
        );
        Assert.Null(spec["hostPID"]);
        Assert.Null(spec["hostIPC"]);
    }

    [Fact]
    public void Daemon_has_one_capability_and_the_init_container_none()
    {
        Assert.Equal(
            """{"allowPrivilegeEscalation":false,"capabilities":{"add":["NET_ADMIN"],"drop":["ALL"]},"readOnlyRootFilesystem":true,"seccompProfile":{"type":"RuntimeDefault"}}""",
            Chart.Value.Daemon["securityContext"]!.ToJsonString()
        );
        Assert.Equal(
            """{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"readOnlyRootFilesystem":true,"seccompProfile":{"type":"RuntimeDefault"}}""",
            Chart.Value.Init["securityContext"]!.ToJsonString()
        );
    }

    [Fact]
    public void Mounts_refer_to_volumes_and_all_volumes_are_mounted()
    {
        var spec = Chart.Value.PodSpec;
        var volumes = spec["volumes"]!.AsArray().Select(volume => (string)volume!["name"]!).ToList();
        var mounts = new[] { Chart.Value.Init, Chart.Value.Daemon }
            .SelectMany(container => container["volumeMounts"]!.AsArray())
            .Select(mount => (string)mount!["name"]!);
        Assert.Equal(volumes.Order(StringComparer.Ordinal), mounts.Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(
            [
                "/opt/cni/bin",
                "/etc/cni/net.d",
                "/var/run/aws-node",
                "/var/run/netns",
                "/run/xtables.lock",
                "/proc/sys/net",
                "/var/log/aws-routed-eni",
            ],
            spec["volumes"]!.AsArray().Select(volume => (string)volume!["hostPath"]!["path"]!)
        );
    }

    /// <summary>
    /// Namespaces that the runtime creates later are visible, and those that it removes are released: a copy of a mount would keep a
    /// namespace alive.
    /// </summary>
    [Fact]
    public void Namespaces_of_the_runtime_are_mounted_read_only_with_propagation()
    {
        var mount = Chart.Value.Daemon["volumeMounts"]!.AsArray().Single(item => (string?)item!["name"] == "netns-dir")!;
        Assert.Equal(
            """{"name":"netns-dir","mountPath":"/var/run/netns","readOnly":true,"mountPropagation":"HostToContainer"}""",
            mount.ToJsonString()
        );
        var volume = Chart.Value.PodSpec["volumes"]!.AsArray().Single(item => (string?)item!["name"] == "netns-dir")!;
        Assert.Equal("""{"path":"/var/run/netns","type":"DirectoryOrCreate"}""", volume["hostPath"]!.ToJsonString());
    }

    [Fact]
    public void Environment_of_both_containers_is_valid_without_warnings()
    {
        foreach (var container in new[] { Chart.Value.Init, Chart.Value.Daemon })
        {
            var bound = OptionBinder.Bind(RenderedChart.Environment(container));
            Assert.Empty(bound.Problems);
            Assert.Empty(bound.Warnings);
        }

        Assert.Equal(
            ["MY_NODE_NAME spec.nodeName", "MY_POD_NAME metadata.name", "MY_POD_NAMESPACE metadata.namespace"],
            Chart.Value.Daemon["env"]!
                .AsArray()
                .Where(item => item!["valueFrom"] is not null)
                .Select(item => $"{item!["name"]} {item["valueFrom"]!["fieldRef"]!["fieldPath"]}")
        );
    }

    [Fact]
    public void Probes_run_the_program_of_the_daemon()
    {
        var daemon = Chart.Value.Daemon;
        Assert.Equal("""["/app/ipamd","run","--install"]""", daemon["command"]!.ToJsonString());
        Assert.Equal("""["/app/ipamd","health","--service","liveness"]""", daemon["livenessProbe"]!["exec"]!["command"]!.ToJsonString());
        Assert.Equal("""["/app/ipamd","health"]""", daemon["readinessProbe"]!["exec"]!["command"]!.ToJsonString());
        Assert.Equal((10, 10), ((int)daemon["livenessProbe"]!["timeoutSeconds"]!, (int)daemon["readinessProbe"]!["timeoutSeconds"]!));
        Assert.Equal("""["/app/ipamd","init"]""", Chart.Value.Init["command"]!.ToJsonString());
    }

    [Fact]
    public void Binding_binds_the_role_to_the_service_account_of_the_pods()
    {
        var binding = Chart.Value.Single("ClusterRoleBinding");
        Assert.Equal((string?)Chart.Value.Single("ClusterRole")["metadata"]!["name"], (string?)binding["roleRef"]!["name"]);
        var subject = Assert.Single(binding["subjects"]!.AsArray())!;
        Assert.Equal(
            ("ServiceAccount", (string?)Chart.Value.PodSpec["serviceAccountName"], "kube-system"),
            ((string?)subject["kind"], (string?)subject["name"], (string?)subject["namespace"])
        );
    }

    [Fact]
    public void Role_permits_exactly_the_default_features() =>
        Assert.Equal(["/nodes: list watch", "/events: create patch", "/pods: get list"], RolesOf(Chart.Value));

    [Fact]
    public void ENIConfig_is_the_resource_of_aws_node()
    {
        var crd = Chart.Value.Single("CustomResourceDefinition")["spec"]!;
        Assert.Equal(
            ("crd.k8s.amazonaws.com", "Cluster", "eniconfigs", "ENIConfig"),
            ((string?)crd["group"], (string?)crd["scope"], (string?)crd["names"]!["plural"], (string?)crd["names"]!["kind"])
        );
        var version = Assert.Single(crd["versions"]!.AsArray())!;
        Assert.Equal(("v1alpha1", true, true), ((string?)version["name"], (bool)version["served"]!, (bool)version["storage"]!));
        Assert.Equal("""["subnet"]""", version["schema"]!["openAPIV3Schema"]!["properties"]!["spec"]!["required"]!.ToJsonString());
    }

    internal static IEnumerable<string> RolesOf(RenderedChart chart) =>
        chart.Single("ClusterRole")["rules"]!
            .AsArray()
            .Select(rule =>
                $"{string.Join(' ', rule!["apiGroups"]!.AsArray().Select(item => (string?)item))}/"
                + $"{string.Join(' ', rule["resources"]!.AsArray().Select(item => (string?)item))}: "
                + $"{string.Join(' ', rule["verbs"]!.AsArray().Select(item => (string?)item))}"
            );
}
