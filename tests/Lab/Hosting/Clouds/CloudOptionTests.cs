// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Lab.Hosting;
using Xunit;

namespace VpcCni.Lab.Tests.Hosting.Clouds;

/// <summary>Tests what the cloud of a lab decides before the lab is built.</summary>
public sealed class CloudOptionTests
{
    private static readonly LabOptions Azure = new() { Cloud = LabCloud.Azure, InstanceType = LabOptions.DefaultTypeOf(LabCloud.Azure) };

    private static readonly LabOptions Gce = new() { Cloud = LabCloud.Gce, InstanceType = LabOptions.DefaultTypeOf(LabCloud.Gce) };

    [Fact]
    public void Defaults_of_every_cloud_are_valid()
    {
        foreach (var cloud in Enum.GetValues<LabCloud>())
            Assert.Empty(new LabOptions { Cloud = cloud, InstanceType = LabOptions.DefaultTypeOf(cloud) }.Validate());
    }

    [Fact]
    public void Nodes_get_consecutive_parts_of_the_pod_ranges()
    {
        var options = Gce with { PodCidrs = [IPNetwork.Parse("172.20.0.0/14"), IPNetwork.Parse("fd20::/48")] };
        Assert.Equal([IPNetwork.Parse("172.20.0.0/24"), IPNetwork.Parse("fd20::/64")], options.PodRangesOfNode(0));
        Assert.Equal([IPNetwork.Parse("172.21.3.0/24"), IPNetwork.Parse("fd20:0:0:103::/64")], options.PodRangesOfNode(259));
        Assert.Empty(Gce.PodRangesOfNode(0));
    }

    [Fact]
    public void Subnetworks_of_gce_have_secondary_ranges()
    {
        var two = Gce with { Subnets = [IPNetwork.Parse("10.0.0.0/20"), IPNetwork.Parse("10.0.16.0/20")] };
        Assert.Equal([IPNetwork.Parse("10.4.64.0/18")], two.PodRangesOf(1));
        IPNetwork[] pods = [IPNetwork.Parse("10.8.0.0/20"), IPNetwork.Parse("10.8.16.0/20"), IPNetwork.Parse("10.8.32.0/20")];
        Assert.Equal([pods[0], pods[2]], (two with { PodSubnets = pods }).PodRangesOf(0));
        Assert.Equal([pods[1]], (two with { PodSubnets = pods }).PodRangesOf(1));
    }

    private static readonly Dictionary<string, (LabOptions Options, string Problem)> Bad = new()
    {
        ["operation latency on AWS"] = (new LabOptions { OperationLatency = TimeSpan.FromSeconds(1) }, "--operation-latency: EC2"),
        ["attach latency on GCE"] = (Gce with { AttachLatency = TimeSpan.FromSeconds(1) }, "--attach-latency: with --cloud gce"),
        ["IPv6 on GCE"] = (Gce with { Family = LabFamily.Dual }, "--family: with --cloud gce"),
        ["EC2's type on GCE"] = (Gce with { InstanceType = "m5.large" }, "--instance-type m5.large: the lab has standard types of GCE"),
        ["device index on GCE"] = (Gce with { PrimaryDeviceIndex = 1 }, "--primary-device-index"),
        ["secondary range over the subnetwork"] = (
            Gce with
            {
                VpcRange = IPNetwork.Parse("10.4.0.0/16"),
            },
            "--pod-subnet-cidr: 10.4.0.0/18 overlaps another range"
        ),
        ["pod range in the network"] = (Gce with { PodCidrs = [IPNetwork.Parse("10.4.0.0/20")] }, "overlaps the network's ranges"),
        ["pod range too small"] = (Gce with { Nodes = [3], PodCidrs = [IPNetwork.Parse("172.20.0.0/23")] }, "each of 3 nodes needs a /24"),
        ["two pod ranges of a family"] = (
            Gce with
            {
                PodCidrs = [IPNetwork.Parse("172.20.0.0/16"), IPNetwork.Parse("172.21.0.0/16")],
            },
            "at most one range of each family"
        ),
        ["reserved pod range"] = (Gce with { PodCidrs = [IPNetwork.Parse("198.18.0.0/16")] }, "overlaps addresses that the lab reserves"),
        ["subnets for pods on Azure"] = (
            Azure with
            {
                PodSubnets = [IPNetwork.Parse("10.0.64.0/20")],
            },
            "--pod-subnet-cidr: with --cloud azure"
        ),
        ["GCE's type on Azure"] = (Azure with { InstanceType = "e2-standard-4" }, "the lab has D sizes of Azure"),
        ["scale set on GCE"] = (Gce with { ScaleSet = "pool" }, "--scale-set: only with --cloud azure"),
        ["name of a scale set"] = (Azure with { ScaleSet = "a/b" }, "expected 1 to 64 letters"),
    };

    public static TheoryData<string> Names { get; } = [.. Bad.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Options_that_do_not_fit_the_cloud_are_rejected(string name) =>
        Assert.Contains(Bad[name].Options.Validate(), problem => problem.Contains(Bad[name].Problem, StringComparison.Ordinal));
}
