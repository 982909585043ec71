// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.VpcModel;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>
/// Situations in which users of VPC-native networks found themselves, as their public reports tell them, with the real binaries.
/// </summary>
public sealed class ReportedSituationTests
{
    private const string RoleTag = "kubernetes.io/role/cni";
    private static readonly IPNetwork[] TwoSubnetsOfAZone =
    [
        .. Enumerable.Range(0, 7).Select(index => IPNetwork.Parse($"10.0.{16 * index}.0/20")),
    ];

    /// <summary>aws/amazon-vpc-cni-k8s 2984, 3067: the node's own subnet is for nodes, pods live in another one.</summary>
    [Fact]
    public async Task Own_subnet_excluded_by_its_tag_gives_pods_nothing_and_the_tagged_one_does()
    {
        await using var node = await NodeLab.StartAsync(
            change: options => options with { Subnets = TwoSubnetsOfAZone, Nodes = [1, 0, 0, 0, 0, 0, 0] },
            beforeReady: lab =>
                Restart(
                    lab,
                    () =>
                    {
                        Tag(lab, TwoSubnetsOfAZone[0], "0");
                        Tag(lab, TwoSubnetsOfAZone[6], "1");
                    }
                )
        );
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        for (var index = 0; index < 12; index++)
        {
            var pod = await node.AddAsync($"p{index}");
            Assert.True(TwoSubnetsOfAZone[6].Contains(pod.Address), $"{pod.Address} is not of {TwoSubnetsOfAZone[6]}");
        }

        Assert.True(await node.PingAsync("p0", node.TheNode.Address.ToString()));
    }

    /// <summary>
    /// The same without any subnet for pods: what stands against them is said, and nothing is asked of EC2 again and again.
    /// </summary>
    [Fact]
    public async Task Own_subnet_excluded_and_no_other_tells_every_pod_why()
    {
        await using var node = await NodeLab.StartAsync(beforeReady: lab =>
            Restart(lab, () => Tag(lab, lab.World.Model.Subnets.Single().Ipv4Range, "0"))
        );
        await Eventually.TrueAsync(async () =>
            (await node.StatusAsync()).Answer is { } status && status.GetProperty("interfaces").GetArrayLength() > 0
        );
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("a"));
        Assert.Contains(RoleTag, failure.Message, StringComparison.Ordinal);
        Assert.Equal(0, Count(node, "CreateNetworkInterface"));
        var status = (await node.StatusAsync()).Answer!.Value;
        Assert.NotEqual("ready", status.GetProperty("health").GetProperty("level").GetString());
    }

    /// <summary>aws/amazon-vpc-cni-k8s 2792, 2801: pods on the trunk interface, with its security groups instead of theirs.</summary>
    [Theory]
    [InlineData("trunk")]
    [InlineData("efa")]
    [InlineData("efa-only")]
    public async Task Interface_of_another_type_gets_no_address_carries_no_pod_and_stays(string type)
    {
        EniId? other = null;
        await using var node = await NodeLab.StartAsync(
            new() { ["WARM_IP_TARGET"] = "3" },
            beforeReady: lab => Restart(lab, () => other = Attach(lab, type))
        );
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        List<LabPod> pods = [];
        for (var index = 0; index < 18; index++)
            pods.Add(await node.AddAsync($"p{index}"));

        // Two of the three interfaces that an m5.large may have are for pods.
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("one-too-many"));
        Assert.Contains("limit", failure.Message, StringComparison.Ordinal);
        var there = Interfaces(node).Single(eni => eni.Id == other);
        Assert.Equal(
            (AttachmentStatus.Attached, 0),
            (there.Attachment!.Status, there.SecondaryAddresses.Length + there.Ipv4Prefixes.Length)
        );
        Assert.True(await node.PingAsync("p0", pods[17].Address.ToString()));

        // Nor after a restart that has only the metadata, which does not tell types apart.
        lock (node.Lab.World.Model.Gate)
            node.Lab.World.Model.Faults.Add(FaultRule.Throttle("*", times: null));
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        var carries = (await node.StatusAsync())
            .Answer!.Value.GetProperty("interfaces")
            .EnumerateArray()
            .Where(item =>
                item.GetProperty("id").GetString() == other!.Value.Value
                && item.TryGetProperty("total", out var total)
                && total.GetInt32() > 0
            );
        Assert.Empty(carries);
    }

    /// <summary>cilium/cilium 9533: interfaces were created, and could not be attached, again and again.</summary>
    [Theory]
    [InlineData("IncorrectState", "The instance is not in a valid state for this operation")]
    [InlineData("InvalidInstanceID.NotFound", "The instance ID does not exist")]
    public async Task Instance_that_ends_costs_few_calls_and_leaves_no_interface(string code, string message)
    {
        await using var node = await NodeLab.StartAsync();
        lock (node.Lab.World.Model.Gate)
            node.Lab.World.Model.Faults.Add(
                new FaultRule
                {
                    Operation = "AttachNetworkInterface",
                    Code = code,
                    Message = message,
                    Status = HttpStatusCode.BadRequest,
                    Times = null,
                }
            );
        await node.AddAsync("a");
        await Eventually.TrueAsync(() => Task.FromResult(Count(node, "AttachNetworkInterface") > 0), TimeSpan.FromSeconds(20));
        await Eventually.TrueAsync(
            () => Task.FromResult(Interfaces(node).All(eni => eni.Attachment is not null)),
            TimeSpan.FromSeconds(60)
        );

        // Pods that come meanwhile are served from what there is, and do not make it ask faster.
        for (var index = 0; index < 8; index++)
            await node.AddAsync($"p{index}");
        await Assert.ThrowsAsync<CniException>(() => node.AddAsync("one-too-many"));
        Assert.InRange(Count(node, "CreateNetworkInterface"), 1, 6);
        Assert.Contains(code, (await node.StatusAsync()).Answer!.Value.ToString(), StringComparison.Ordinal);
    }

    /// <summary>The daemon starts again when the world is as the test needs it.</summary>
    private static void Restart(VpcLab lab, Action change)
    {
        var ipamd = lab.Node(NodeLab.Node).Ipamd!;
        ipamd.KillAsync(TestContext.Current.CancellationToken).GetAwaiter().GetResult();
        File.Delete(lab.Node(NodeLab.Node).Paths.Checkpoint);
        change();
        ipamd.Start();
    }

    private static void Tag(VpcLab lab, IPNetwork range, string role)
    {
        lock (lab.World.Model.Gate)
        {
            var subnet = lab.World.Model.Subnets.Single(subnet => subnet.Ipv4Range == range);
            lab.World.Model.CreateTags([subnet.Id.Value], new Dictionary<string, string> { [RoleTag] = role });
        }
    }

    private static EniId Attach(VpcLab lab, string type)
    {
        var world = lab.World.Model;
        lock (world.Gate)
        {
            var instance = lab.Node(NodeLab.Node).Instance.Id;
            var created = world.CreateNetworkInterface(
                new CreateInterfaceRequest
                {
                    Subnet = world.Subnets.First().Id,
                    InterfaceType = type,
                    Description = "somebody else's",
                }
            );
            world.AttachNetworkInterface(new AttachInterfaceRequest(created.Id, instance, 1));
            return created.Id;
        }
    }

    private static NetworkInterface[] Interfaces(NodeLab node)
    {
        lock (node.Lab.World.Model.Gate)
            return [.. node.Lab.World.Model.Interfaces];
    }

    private static int Count(NodeLab node, string operation)
    {
        lock (node.Lab.World.Model.Gate)
            return node.Lab.World.Model.Calls.Recent.Count(call => call.Operation == operation);
    }
}
