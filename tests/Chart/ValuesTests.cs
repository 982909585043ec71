// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Options;
using VpcCni.Netlink;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>Values of operators and the objects that they render.</summary>
public sealed class ValuesTests
{
    private static RenderedChart Of(string file, params string[] more) =>
        HelmRenderer.Render([File.ReadAllText(HelmRenderer.ValuesFile(file)), HelmRenderer.WithImage, .. more]);

    [Fact]
    public void Values_of_aws_vpc_cni_are_valid_with_an_image()
    {
        var chart = Of("of-aws-vpc-cni.yaml");
        var environment = RenderedChart.Environment(chart.Daemon);
        Assert.Equal(
            ("9001", "true", "5", "30", """{"team":"network"}"""),
            (
                environment["AWS_VPC_ENI_MTU"],
                environment["AWS_VPC_K8S_CNI_EXTERNALSNAT"],
                environment["WARM_IP_TARGET"],
                environment["MINIMUM_IP_TARGET"],
                environment["ADDITIONAL_ENI_TAGS"]
            )
        );
        Assert.Empty(OptionBinder.Bind(environment).Problems);
        Assert.Equal("true", RenderedChart.Environment(chart.Init)["DISABLE_TCP_EARLY_DEMUX"]);
        Assert.Equal("registry.example/vpc-cni:0.1.0", (string?)chart.Daemon["image"]);
        Assert.Equal("registry.example/vpc-cni:0.1.0", (string?)chart.Init["image"]);
        Assert.Equal(
            "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole",
            (string?)chart.Single("ServiceAccount")["metadata"]!["annotations"]!["eks.amazonaws.com/role-arn"]
        );
        Assert.Equal("network", (string?)chart.Single("DaemonSet")["spec"]!["selector"]!["matchLabels"]!["team"]);
        Assert.Equal(
            "false",
            (string?)
                chart.Single("DaemonSet")["spec"]!["template"]!["metadata"]!["annotations"]![
                    "cluster-autoscaler.kubernetes.io/safe-to-evict"
                ]
        );
        Assert.Equal("true", (string?)chart.Single("ConfigMap")["data"]!["enable-windows-ipam"]);
        Assert.Contains("/pods: get list patch", DefaultsTests.RolesOf(chart));
    }

    [Fact]
    public void Probe_program_of_aws_vpc_cni_is_replaced()
    {
        var daemon = Of("of-aws-vpc-cni.yaml").Daemon;
        Assert.Equal("""["/app/ipamd","health","--service","liveness"]""", daemon["livenessProbe"]!["exec"]!["command"]!.ToJsonString());
        Assert.Equal("""["/app/ipamd","health"]""", daemon["readinessProbe"]!["exec"]!["command"]!.ToJsonString());
        Assert.Equal(60, (int)daemon["livenessProbe"]!["initialDelaySeconds"]!);
    }

    [Fact]
    public void Other_probe_is_unchanged()
    {
        var daemon = HelmRenderer
            .Render(
                HelmRenderer.WithImage,
                """
                readinessProbe: {exec: {command: [/bin/my-probe]}, periodSeconds: 3, timeoutSeconds: 7}
                livenessProbe: null
                """
            )
            .Daemon;
        Assert.Equal(
            """{"exec":{"command":["/bin/my-probe"]},"initialDelaySeconds":1,"periodSeconds":3,"timeoutSeconds":7}""",
            daemon["readinessProbe"]!.ToJsonString()
        );
        Assert.Null(daemon["livenessProbe"]);
    }

    [Fact]
    public void Privileged_init_container_of_old_values_is_valid_for_the_api_server()
    {
        var context = Of("of-aws-vpc-cni.yaml").Init["securityContext"]!;
        Assert.True((bool)context["privileged"]!);
        Assert.Null(context["allowPrivilegeEscalation"]);
        var daemon = Of("of-aws-vpc-cni.yaml").Daemon["securityContext"]!;
        Assert.Equal("""{"add":["NET_ADMIN","NET_RAW"],"drop":["ALL"]}""", daemon["capabilities"]!.ToJsonString());
        Assert.Null(daemon["privileged"]);
    }

    [Fact]
    public void Log_folder_is_mounted_where_the_log_file_of_aws_vpc_cni_is()
    {
        foreach (var chart in new[] { Of("of-aws-vpc-cni.yaml"), HelmRenderer.Render(HelmRenderer.WithImage) })
        {
            var mount = chart.Daemon["volumeMounts"]!.AsArray().Single(item => (string?)item!["name"] == "log-dir")!;
            Assert.Equal("/host/var/log/aws-routed-eni", (string?)mount["mountPath"]);
            Assert.Null(mount["readOnly"]);
            var volume = chart.PodSpec["volumes"]!.AsArray().Single(item => (string?)item!["name"] == "log-dir")!["hostPath"]!;
            Assert.Equal(("/var/log/aws-routed-eni", "DirectoryOrCreate"), ((string?)volume["path"], (string?)volume["type"]));
        }

        var environment = RenderedChart.Environment(Of("of-aws-vpc-cni.yaml").Daemon);
        Assert.StartsWith("/host/var/log/aws-routed-eni/", environment["AWS_VPC_K8S_CNI_LOG_FILE"], StringComparison.Ordinal);
    }

    [Fact]
    public void Prefix_delegation_has_valid_targets()
    {
        var chart = Of("prefixes.yaml");
        var bound = OptionBinder.Bind(RenderedChart.Environment(chart.Daemon));
        Assert.Empty(bound.Problems);
        Assert.True(
            bound.Options.Targets is { UsesPrefixes: true, WarmIpTarget: 8, MinimumIpTarget: 16, MaxPods: 110 },
            bound.Options.Targets.ToString()
        );
        Assert.Equal("prefixes", (string?)chart.PodSpec["nodeSelector"]!["karpenter.sh/nodepool"]);
        Assert.Equal(
            """{"limits":{"memory":"128Mi"},"requests":{"cpu":"50m","memory":"48Mi"}}""",
            chart.Daemon["resources"]!.ToJsonString()
        );
    }

    [Fact]
    public void Custom_networking_renders_an_ENIConfig_per_zone_and_a_rule_for_them()
    {
        var chart = Of("custom-networking.yaml");
        var configs = chart.Objects.Where(item => (string?)item["kind"] == "ENIConfig").ToList();
        Assert.Equal(["us-west-2a", "us-west-2b"], configs.Select(item => (string?)item["metadata"]!["name"]));
        Assert.All(configs, item => Assert.Equal("keep", (string?)item["metadata"]!["annotations"]!["helm.sh/resource-policy"]));
        Assert.Equal("""{"subnet":"subnet-0aaa","securityGroups":["sg-01","sg-02"]}""", configs[0]["spec"]!.ToJsonString());
        Assert.Equal("""{"subnet":"subnet-0bbb"}""", configs[1]["spec"]!.ToJsonString());
        Assert.Equal(
            ["/nodes: list watch", "/events: create patch", "/pods: get list", "crd.k8s.amazonaws.com/eniconfigs: list watch"],
            DefaultsTests.RolesOf(chart)
        );
    }

    [Fact]
    public void Adopted_daemonset_keeps_the_selector_of_EKS() =>
        Assert.Equal(
            """{"k8s-app":"aws-node"}""",
            HelmRenderer.Render(HelmRenderer.WithImage, "originalMatchLabels: true").Single("DaemonSet")["spec"]!["selector"]![
                "matchLabels"
            ]!.ToJsonString()
        );

    [Fact]
    public void Extra_volumes_and_mounts_are_added()
    {
        var chart = HelmRenderer.Render(
            HelmRenderer.WithImage,
            """
            extraVolumes: [{name: certs, hostPath: {path: /etc/pki}}]
            extraVolumeMounts: [{name: certs, mountPath: /etc/ssl/certs, readOnly: true}]
            serviceAccount: {create: false, name: mine}
            """
        );
        Assert.Contains("certs", Mounts(chart));
        Assert.Equal("/etc/pki", (string?)chart.PodSpec["volumes"]!.AsArray()[^1]!["hostPath"]!["path"]);
        Assert.Equal("mine", (string?)chart.PodSpec["serviceAccountName"]);
        Assert.DoesNotContain("ServiceAccount mine", chart.Names);
        Assert.Equal("mine", (string?)chart.Single("ClusterRoleBinding")["subjects"]![0]!["name"]);
    }

    [Fact]
    public void Image_name_is_composed_from_its_parts()
    {
        var chart = HelmRenderer.Render("""image: {account: "111122223333", region: eu-west-1, tag: 0.2.0}""");
        Assert.Equal("111122223333.dkr.ecr.eu-west-1.amazonaws.com/vpc-cni:0.2.0", (string?)chart.Daemon["image"]);
        Assert.Equal("r.example/a:0.1.0", (string?)HelmRenderer.Render("image: {overrideRepository: r.example/a}").Daemon["image"]);
    }

    /// <summary>Private mirrors set these values for the init image of aws-node, which has no ipamd.</summary>
    [Theory]
    [InlineData("override: mirror.example/amazon-k8s-cni-init:v1.23.1")]
    [InlineData("override: mirror.example/cni-init:1")]
    [InlineData("overrideRepository: mirror.example/cni-init, tag: v1.23.1")]
    [InlineData("account: \"602401143452\", region: eu-west-1, endpoint: ecr, domain: amazonaws.com, tag: v1.23.1")]
    public void Image_of_the_init_container_is_that_of_the_daemon(string image)
    {
        var chart = HelmRenderer.Render(HelmRenderer.WithImage, $"init: {{image: {{{image}, pullPolicy: Always}}}}");
        foreach (var container in new[] { chart.Init, chart.Daemon })
            Assert.Equal("registry.example/vpc-cni:0.1.0", (string?)container["image"]);
        Assert.Equal(("Always", "IfNotPresent"), ((string?)chart.Init["imagePullPolicy"], (string?)chart.Daemon["imagePullPolicy"]));
        var notes = HelmRenderer.TryRender(["-notes"], HelmRenderer.WithImage, $"init: {{image: {{{image}}}}}").Output;
        Assert.Contains("init.image.", notes, StringComparison.Ordinal);
    }

    /// <summary>The init container enables IPv6 on the node, which the daemon does not.</summary>
    [Theory]
    [InlineData("", "false", null)]
    [InlineData("""env: {ENABLE_IPv6: "true"}""", "true", null)]
    [InlineData("env: {ENABLE_IPv6: true, ENABLE_V6_EGRESS: false}", "true", "false")]
    [InlineData("""env: {ENABLE_V6_EGRESS: "true"}""", "false", "true")]
    [InlineData("""{env: {ENABLE_IPv6: "false"}, extraEnv: [{name: ENABLE_IPv6, value: "true"}]}""", "true", null)]
    [InlineData("""{env: {ENABLE_IPv6: "true"}, init: {env: {ENABLE_IPv6: "false"}}}""", "false", null)]
    [InlineData("""{env: {ENABLE_V6_EGRESS: "true"}, init: {env: {ENABLE_V6_EGRESS: "false"}}}""", "false", "false")]
    [InlineData("""{env: {ENABLE_IPv6: "true"}, init: {env: null}}""", "true", null)]
    public void Init_container_has_the_IPv6_variables_of_the_daemon_unless_it_sets_them(string values, string ipv6, string? egress)
    {
        var chart = HelmRenderer.Render(HelmRenderer.WithImage, values);
        var environment = RenderedChart.Environment(chart.Init);
        Assert.Equal((ipv6, egress), (environment["ENABLE_IPv6"], environment.GetValueOrDefault("ENABLE_V6_EGRESS")));
        var bound = OptionBinder.Bind(environment);
        Assert.Empty(bound.Problems);
        Assert.Equal(
            (ipv6 == "true", ipv6 == "false" && egress == "true"),
            (bound.Options.Families.Contains(IpFamily.V6), bound.Options.HostNetwork.Ipv6Egress)
        );
    }

    /// <summary>IPv6 mode requires further variables of the daemon, without which the init container must not fail.</summary>
    [Fact]
    public void Init_container_starts_in_IPv6_mode()
    {
        var chart = HelmRenderer.Render(
            HelmRenderer.WithImage,
            """env: {ENABLE_IPv4: "false", ENABLE_IPv6: "true", ENABLE_PREFIX_DELEGATION: "true"}"""
        );
        Assert.Empty(OptionBinder.Bind(RenderedChart.Environment(chart.Daemon)).Problems);
        var bound = OptionBinder.Bind(RenderedChart.Environment(chart.Init));
        Assert.Empty(bound.Problems);
        Assert.True(bound.Options.Families.Contains(IpFamily.V6));
    }

    [Fact]
    public void Init_container_has_an_IPv6_variable_of_a_ConfigMap()
    {
        const string entry = """{"name":"ENABLE_IPv6","valueFrom":{"configMapKeyRef":{"key":"ipv6","name":"cluster"}}}""";
        var chart = HelmRenderer.Render(HelmRenderer.WithImage, $"extraEnv: [{entry}]");
        foreach (var container in new[] { chart.Init, chart.Daemon })
            Assert.Equal(entry, container["env"]!.AsArray().Single(item => (string?)item!["name"] == "ENABLE_IPv6")!.ToJsonString());
    }

    [Fact]
    public void Extra_variable_replaces_the_variable_of_the_same_name()
    {
        var chart = HelmRenderer.Render(
            HelmRenderer.WithImage,
            """
            env: {WARM_ENI_TARGET: 3}
            extraEnv:
              - {name: WARM_ENI_TARGET, value: "2"}
              - {name: MY_NODE_NAME, value: mine}
              - {name: CLUSTER_NAME, valueFrom: {configMapKeyRef: {name: cluster, key: name}}}
            """
        );
        var variables = chart.Daemon["env"]!.AsArray();
        var names = variables.Select(item => (string?)item!["name"]).ToList();
        Assert.Equal(names.Distinct(), names);
        var environment = RenderedChart.Environment(chart.Daemon);
        Assert.Equal(("2", "mine"), (environment["WARM_ENI_TARGET"], environment["MY_NODE_NAME"]));
        var fromMap = variables.Single(item => (string?)item!["name"] == "CLUSTER_NAME")!["valueFrom"]!["configMapKeyRef"]!;
        Assert.Equal("cluster", (string?)fromMap["name"]);
    }

    /// <summary>
    /// The value of a ConfigMap is unknown at render time; the role then permits the feature, so that it works if enabled.
    /// </summary>
    [Theory]
    [InlineData("value: \"true\"", true)]
    [InlineData("value: \"false\"", false)]
    [InlineData("valueFrom: {configMapKeyRef: {name: a, key: b}}", true)]
    public void Role_follows_extra_variables(string value, bool granted)
    {
        var roles = DefaultsTests
            .RolesOf(
                HelmRenderer.Render(
                    HelmRenderer.WithImage,
                    $$"""
                    env: {ANNOTATE_POD_IP: "true"}
                    extraEnv: [{name: ANNOTATE_POD_IP, {{value}}}, {name: AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG, {{value}}}]
                    """
                )
            )
            .ToList();
        Assert.Equal(granted, roles.Contains("/pods: get list patch"));
        Assert.Equal(granted, roles.Contains("crd.k8s.amazonaws.com/eniconfigs: list watch"));
    }

    [Theory]
    [InlineData("stdout", null)]
    [InlineData("/host/var/log/aws-routed-eni/ipamd.log", "The daemon logs to /var/log/aws-routed-eni/ipamd.log on each node")]
    [InlineData("/var/log/ipamd.log", "NOT WRITABLE: env.AWS_VPC_K8S_CNI_LOG_FILE=/var/log/ipamd.log")]
    public void Notes_have_the_path_of_the_log(string file, string? expected)
    {
        var notes = HelmRenderer.TryRender(["-notes"], HelmRenderer.WithImage, $"env: {{AWS_VPC_K8S_CNI_LOG_FILE: {file}}}").Output;
        if (expected is not null)
            Assert.Contains(expected, notes, StringComparison.Ordinal);
        else
            Assert.DoesNotContain("logs", notes, StringComparison.Ordinal);
    }

    [Fact]
    public void Disabled_metrics_remove_the_port()
    {
        Assert.Equal("metrics", (string?)HelmRenderer.Render(HelmRenderer.WithImage).Daemon["ports"]![0]!["name"]);
        Assert.Null(HelmRenderer.Render(HelmRenderer.WithImage, """env: {DISABLE_METRICS: "true"}""").Daemon["ports"]);
    }

    [Fact]
    public void Cleanup_is_a_daemonset_without_a_role()
    {
        var chart = HelmRenderer.Render(HelmRenderer.WithImage, "cleanup: {enabled: true}");
        Assert.Equal(["CustomResourceDefinition eniconfigs.crd.k8s.amazonaws.com", "DaemonSet vpc-cni-cleanup"], chart.Names);
        Assert.Equal("""["/app/ipamd","uninstall","--wait","300"]""", chart.Init["command"]!.ToJsonString());
        Assert.False((bool)chart.PodSpec["automountServiceAccountToken"]!);
        Assert.Equal("""{"drop":["ALL"]}""", chart.Daemon["securityContext"]!["capabilities"]!.ToJsonString());
    }

    [Theory]
    [InlineData("", "no image is set")]
    [InlineData("""image: {account: "602401143452"}""", "AWS's own registry")]
    [InlineData("""image: {override: "x.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.19.0"}""", "an image of aws-node")]
    [InlineData(
        """{image: {override: "r.example/vpc-cni:1"}, extraEnv: [{name: A, value: b}, {name: A, value: c}]}""",
        "extraEnv names A twice"
    )]
    [InlineData(
        """{image: {override: "r.example/vpc-cni:1"}, extraEnv: [{name: ENABLE_POD_ENI, value: "true"}]}""",
        "env.ENABLE_POD_ENI=true"
    )]
    [InlineData("""{image: {override: "r.example/vpc-cni:1"}, env: {ENABLE_MULTI_NIC: "True"}}""", "env.ENABLE_MULTI_NIC=true")]
    [InlineData("""{image: {override: "r.example/vpc-cni:1"}, env: {ENABLE_IPv4: false}}""", "env.ENABLE_IPv4=false")]
    [InlineData(
        """{image: {override: "r.example/vpc-cni:1"}, env: {NETWORK_POLICY_ENFORCING_MODE: strict}}""",
        "NETWORK_POLICY_ENFORCING_MODE=strict"
    )]
    [InlineData("""{image: {override: "r.example/vpc-cni:1"}, cniConfig: {enabled: true}}""", "cniConfig.enabled")]
    [InlineData("""{image: {override: "r.example/vpc-cni:1"}, enableNetworkPolicy: "true"}""", "NetworkPolicies would not be enforced")]
    [InlineData(
        """{image: {override: "r.example/vpc-cni:1"}, enableNetworkPolicy: true, nodeAgent: {enabled: true}}""",
        "NetworkPolicies would not be enforced"
    )]
    [InlineData(
        """{image: {override: "r.example/vpc-cni:1"}, podMonitor: {create: true}, env: {DISABLE_METRICS: "true"}}""",
        "there is nothing to scrape"
    )]
    [InlineData("""{image: {override: "r.example/vpc-cni:1"}, eniConfig: {create: true}}""", "eniConfig.create without")]
    public void Unsupported_values_are_rejected_with_a_reason(string values, string expected)
    {
        var outcome = HelmRenderer.TryRender([], values);
        Assert.NotEqual(0, outcome.ExitCode);
        Assert.Contains(expected, outcome.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Notes_list_what_is_not_deployed_and_what_has_no_effect()
    {
        var notes = HelmRenderer
            .TryRender(
                ["-notes"],
                File.ReadAllText(HelmRenderer.ValuesFile("of-aws-vpc-cni.yaml")),
                HelmRenderer.WithImage,
                "cri: {hostPath: {path: /run/containerd/containerd.sock}}"
            )
            .Output;
        foreach (
            var part in (string[])
                [
                    "NOT DEPLOYED: the network policy agent",
                    "cri.hostPath",
                    "crd.create=false",
                    "init.securityContext.privileged",
                    "NET_RAW",
                    "/app/ipamd status",
                ]
        )
            Assert.Contains(part, notes, StringComparison.Ordinal);
        var plain = HelmRenderer.TryRender(["-notes"], HelmRenderer.WithImage).Output;
        Assert.DoesNotContain("NOT DEPLOYED", plain, StringComparison.Ordinal);
        Assert.DoesNotContain("Without effect", plain, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Mounts(RenderedChart chart) =>
        chart.Daemon["volumeMounts"]!.AsArray().Select(mount => (string)mount!["name"]!);
}
