// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.Tests.Fabric;
using VpcCni.Lab.VpcModel;
using VpcCni.Tests.Shared;
using Xunit;
using static VpcCni.Lab.Tests.Hosting.Clouds.CloudLab;

namespace VpcCni.Lab.Tests.Hosting.Clouds;

/// <summary>Tests routes and the source/destination check of EC2 with packets.</summary>
public sealed class AwsRouteLabTests
{
    private static readonly IPNetwork Pods = IPNetwork.Parse("172.20.1.0/24");

    [Fact]
    public async Task Route_delivers_while_the_check_of_its_eni_is_disabled()
    {
        await using var lab = await StartAsync(LabCloud.Aws);
        var (one, two) = (lab.Nodes[0], lab.Nodes[1]);
        FabricBench.AddAddress(two.Network, "172.20.1.5");
        lab.World.With(world =>
        {
            world.CreateRoute(Route(world, two));
            return true;
        });
        await lab.Fabric.WaitUntilAppliedAsync(FabricBench.Cancellation);
        Assert.False(await RepliesAsync(one, "172.20.1.5"));
        Assert.False(await MaySendFromAsync(two, "172.20.1.5", one));
        Assert.Equal(1, await SpoofedAsync(lab, two));

        await SetCheckAsync(lab, two, enabled: false);
        Assert.True(await RepliesAsync(one, "172.20.1.5"));
        Assert.True(await MaySendFromAsync(two, "172.20.1.5", one));

        await SetCheckAsync(lab, two, enabled: true);
        Assert.False(await RepliesAsync(one, "172.20.1.5"));
    }

    [Fact]
    public async Task Replaced_route_delivers_to_the_new_target_and_a_deleted_one_to_none()
    {
        await using var lab = await StartAsync(LabCloud.Aws, options => options with { Nodes = [3], MayForward = true });
        var (one, two, three) = (lab.Nodes[0], lab.Nodes[1], lab.Nodes[2]);
        FabricBench.AddAddress(three.Network, "172.20.1.5");
        void Change(Action<VpcWorld> change) =>
            lab.World.With(world =>
            {
                change(world);
                return true;
            });
        Change(world => world.CreateRoute(Route(world, two)));
        await lab.Fabric.WaitUntilAppliedAsync(FabricBench.Cancellation);
        Assert.False(await RepliesAsync(one, "172.20.1.5"));
        Change(world => world.ReplaceRoute(Route(world, three)));
        await Eventually.TrueAsync(() => RepliesAsync(one, "172.20.1.5"));
        Change(world => world.DeleteRoute(world.RouteTables.Single().Id, Pods));
        await Eventually.TrueAsync(async () => !await RepliesAsync(one, "172.20.1.5"));
    }

    private static RouteRequest Route(VpcWorld world, LabNode target) =>
        new()
        {
            Table = world.RouteTables.Single().Id,
            Destination = Pods,
            Instance = target.Instance.Id,
        };

    private static async Task SetCheckAsync(VpcLab lab, LabNode node, bool enabled)
    {
        lab.World.With(world =>
            world.ModifyNetworkInterfaceAttribute(
                new ModifyInterfaceRequest { Interface = node.Instance.PrimaryInterface, SourceDestCheck = enabled }
            )
        );
        await lab.Fabric.WaitUntilAppliedAsync(FabricBench.Cancellation);
    }
}
