// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.EndToEnd.Tests.Paths;
using VpcCni.Lab.Fabric;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Paths;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>Custom networking with the real daemon, ENIConfigs applied with kubectl, and real packets.</summary>
public sealed class CustomNetworkingTests
{
    private static readonly IPNetwork First = IPNetwork.Parse("10.0.64.0/20"),
        Second = IPNetwork.Parse("100.64.0.0/20"),
        Far = IPNetwork.Parse("10.0.80.0/20");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Packets_of_pods_in_zonal_subnets_take_the_interface_of_the_pods()
    {
        await using var lab = await StartAsync(
            new()
            {
                ["ENI_CONFIG_LABEL_DEF"] = "topology.kubernetes.io/zone",
                ["AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS"] = FabricAddresses.OnPremises.ToString(),
            },
            options =>
                options with
                {
                    Nodes = [2, 1],
                    Subnets = [IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("10.0.16.0/20")],
                    PodSubnets = [First, Far],
                }
        );
        foreach (var (zone, range) in new[] { ("us-west-2a", First), ("us-west-2b", Far) })
            await ApplyAsync(lab, zone, SubnetOf(lab, range), GroupOf(lab, "pods"));
        await lab.Lab.WaitUntilReadyAsync(Token);

        await lab.AddAsync("web-0");
        await lab.AddAsync("web-1");
        await lab.Lab.AddPodAsync("node-2", PodName.Parse("default/other"), Token);
        await lab.Lab.AddPodAsync("node-3", PodName.Parse("default/far"), Token);

        foreach (var (node, range) in new[] { ("node-1", First), ("node-2", First), ("node-3", Far) })
            Assert.All(lab.Lab.Node(node).Pods, pod => Assert.True(range.Contains(pod.Address), $"{pod.Address} of {node}"));
        var paths = new PathMatrix(lab.Lab, TimeProvider.System);
        await paths.InstallServicesAsync(Token);
        await PathTests.CheckAsync(paths, "custom networking");
    }

    [Fact]
    public async Task ENIConfig_is_followed_from_creation_to_deletion()
    {
        await using var lab = await StartAsync(
            new() { ["WARM_IP_TARGET"] = "2", ["VPCCNI_ADD_WAIT_SECONDS"] = "3" },
            options => options with { PodSubnets = [First, Second] }
        );

        // No ENIConfig: no interface is created, and the event of the pod names the missing object.
        await Eventually.TrueAsync(() =>
            Task.FromResult(lab.Log.Contains("default", StringComparison.Ordinal) || File.Exists(lab.TheNode.Paths.IpamdSocket))
        );
        var error = await FailureOfAsync(lab, "early");
        Assert.Contains("custom networking has no usable ENIConfig for this node", error, StringComparison.Ordinal);
        Assert.Contains("'default'", error, StringComparison.Ordinal);
        Assert.Equal(["eth0"], Links(lab));

        // Applied: pods get addresses of its subnet on an interface of their own with its security group.
        await ApplyAsync(lab, "default", SubnetOf(lab, First), GroupOf(lab, "pods"));
        await lab.Lab.WaitUntilReadyAsync(Token);
        var one = await lab.AddAsync("one");
        var interfaces = (await lab.StatusAsync()).Answer!.Value.GetProperty("interfaces").EnumerateArray();
        var primary = Assert.Single(interfaces, item => item.GetProperty("deviceIndex").GetInt32() == 0);
        Assert.Equal("no pods (custom networking)", primary.GetProperty("state").GetString());
        Assert.True(First.Contains(one.Address), $"{one.Address}");
        Assert.Equal((SubnetOf(lab, First), GroupOf(lab, "pods")), OwnerOf(lab, one.Address));

        // Other groups: the interface gets them without effect on the pod.
        await ApplyAsync(lab, "default", SubnetOf(lab, First), GroupOf(lab, "default"));
        await Eventually.TrueAsync(() => Task.FromResult(OwnerOf(lab, one.Address) == (SubnetOf(lab, First), GroupOf(lab, "default"))));

        // Another subnet, of a further range of the VPC: new pods get addresses there, the old pod stays, and they reach each other.
        await ApplyAsync(lab, "default", SubnetOf(lab, Second), GroupOf(lab, "pods"));
        await Eventually.TrueAsync(() =>
            Task.FromResult(
                lab.Lab.World.With(world =>
                    world.InterfacesOf(lab.TheNode.Instance.Id).Any(eni => eni.Subnet.Value == SubnetOf(lab, Second))
                )
            )
        );
        var two = await lab.AddAsync("two");
        Assert.True(Second.Contains(two.Address), $"{two.Address}");
        Assert.True(await lab.PingAsync("one", $"{two.Address}"));
        Assert.True(await lab.PingAsync("two", $"{one.Address}"));
        Assert.True(await lab.PingAsync("two", $"{FabricAddresses.InternetHost}"));

        // An unusable subnet, then no ENIConfig: existing interfaces stay in use, and new pods get their free addresses.
        await ApplyAsync(lab, "default", "subnet-0", GroupOf(lab, "pods"));
        Assert.True(Second.Contains((await lab.AddAsync("three")).Address));
        await KubectlAsync(lab, "delete", "eniconfig", "default");
        Assert.True(Second.Contains((await lab.AddAsync("four")).Address));
        Assert.True(await lab.PingAsync("four", $"{one.Address}"));
    }

    private static Task<NodeLab> StartAsync(Dictionary<string, string> environment, Func<LabOptions, LabOptions> change)
    {
        Requirement.NeedProgram("kubectl");
        environment["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"] = "true";
        return NodeLab.StartAsync(environment, change, beforeReady: _ => { });
    }

    private static async Task ApplyAsync(NodeLab lab, string name, string subnet, string group)
    {
        var manifest = Path.Combine(lab.Lab.Paths.Folder, "eniconfig.yaml");
        await File.WriteAllTextAsync(
            manifest,
            $$"""
            apiVersion: crd.k8s.amazonaws.com/v1alpha1
            kind: ENIConfig
            metadata: { name: {{name}} }
            spec: { subnet: {{subnet}}, securityGroups: [{{group}}] }
            """,
            Token
        );
        await KubectlAsync(lab, "apply", "-f", manifest);
    }

    private static Task<string> KubectlAsync(NodeLab lab, params string[] arguments) =>
        lab.ExecAsync([
            "kubectl",
            "--kubeconfig",
            lab.Lab.Paths.Kubeconfig,
            "--context",
            "node",
            "--cache-dir",
            Path.Combine(lab.Lab.Paths.Folder, "kubectl"),
            .. arguments,
        ]);

    private static async Task<string> FailureOfAsync(NodeLab lab, string pod) =>
        (await Assert.ThrowsAnyAsync<Exception>(() => lab.AddAsync(pod))).Message;

    private static string SubnetOf(NodeLab lab, IPNetwork range) =>
        lab.Lab.World.With(world => world.Subnets.Single(subnet => subnet.Ipv4Range == range).Id.Value);

    private static string GroupOf(NodeLab lab, string name) =>
        lab.Lab.World.With(world => world.SecurityGroups.Single(group => group.Name == name).Id.Value);

    private static (string Subnet, string Group) OwnerOf(NodeLab lab, IPAddress address) =>
        lab.Lab.World.With(world => world.FindOwner(address) is { } eni ? (eni.Subnet.Value, string.Join(',', eni.Groups)) : default);

    private static string[] Links(NodeLab lab) =>
        lab.Lab.World.With(world =>
            world
                .InterfacesOf(lab.TheNode.Instance.Id)
                .Select(eni => FabricNames.NodeLink(eni.Attachment!.DeviceIndex, eni.Attachment.NetworkCard))
                .ToArray()
        );
}
