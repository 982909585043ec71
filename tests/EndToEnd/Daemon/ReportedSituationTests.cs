// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.VpcModel;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>Situations of public reports on VPC-native networks, with the real binaries.</summary>
public sealed class ReportedSituationTests
{
    private const string RoleTag = "kubernetes.io/role/cni";
    private static readonly IPNetwork[] TwoSubnetsOfAZone =
    [
        .. Enumerable.Range(0, 7).Select(index => IPNetwork.Parse($"10.0.{16 * index}.0/20")),
    ];

    /// <summary>aws/amazon-vpc-cni-k8s 2984, 3067: the node's own subnet is excluded, and pods get addresses of another one.</summary>
    [Fact]
    public async Task Own_subnet_excluded_by_its_tag_gives_no_addresses_to_pods()
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

    /// <summary>As above, without a subnet for pods: the reason is reported, and EC2 is not called repeatedly.</summary>
    [Fact]
    public async Task Own_subnet_excluded_without_another_fails_ADDs_with_the_reason()
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

    /// <summary>
    /// aws/amazon-vpc-cni-k8s 2792, 2801: pods got addresses of the trunk interface, with its security groups instead of theirs.
    /// </summary>
    [Theory]
    [InlineData("trunk")]
    [InlineData("efa")]
    [InlineData("efa-only")]
    public async Task Interface_of_another_type_is_not_used_and_not_changed(string type)
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

        // Two of the three interfaces of an m5.large are for pods.
        var failure = await Assert.ThrowsAsync<CniException>(() => node.AddAsync("one-too-many"));
        Assert.Contains("limit", failure.Message, StringComparison.Ordinal);
        var there = Interfaces(node).Single(eni => eni.Id == other);
        Assert.Equal(
            (AttachmentStatus.Attached, 0),
            (there.Attachment!.Status, there.SecondaryAddresses.Length + there.Ipv4Prefixes.Length)
        );
        Assert.True(await node.PingAsync("p0", pods[17].Address.ToString()));

        // Nor after a restart that has only the metadata, which does not include types.
        lock (node.Lab.World.Model.Gate)
            node.Lab.World.Model.Faults.Add(FaultRule.Throttle("*", times: null));
        await node.TheNode.Ipamd!.KillAsync(TestContext.Current.CancellationToken);
        node.TheNode.Ipamd.Start();
        await node.Lab.WaitUntilReadyAsync(TestContext.Current.CancellationToken);
        var inUse = (await node.StatusAsync())
            .Answer!.Value.GetProperty("interfaces")
            .EnumerateArray()
            .Where(item =>
                item.GetProperty("id").GetString() == other!.Value.Value
                && item.TryGetProperty("total", out var total)
                && total.GetInt32() > 0
            );
        Assert.Empty(inUse);
    }

    /// <summary>cilium/cilium 9533: interfaces were created repeatedly and could not be attached.</summary>
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

        // Pods added in the meantime get free addresses and do not cause more calls.
        for (var index = 0; index < 8; index++)
            await node.AddAsync($"p{index}");
        await Assert.ThrowsAsync<CniException>(() => node.AddAsync("one-too-many"));
        Assert.InRange(Count(node, "CreateNetworkInterface"), 1, 6);
        Assert.Contains(code, (await node.StatusAsync()).Answer!.Value.ToString(), StringComparison.Ordinal);
    }

    /// <summary>Changes the model between the stop and the start of the daemon.</summary>
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
                    Description = "of another program",
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
