// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Datapath.Tests;

public sealed class PodLinkNamesTests
{
    // The vectors of the AWS VPC CNI.
    [Theory]
    [InlineData("kube-system", "coredns-57ff979f67-qqbdh", "enib5faff8a083")]
    [InlineData("kube-system", "coredns-57ff979f67-8ns9b", "eni9571956a6cc")]
    [InlineData("default", "sample-pod", "enicc21c2d7785")]
    public void Host_end_has_the_name_of_the_AWS_plugin(string @namespace, string pod, string expected) =>
        Assert.Equal(expected, PodLinkNames.Host("eni", Key("c1", @namespace, pod), index: 0));

    [Fact]
    public void Host_end_of_a_further_interface_hashes_pod_and_index() =>
        // printf sample-pod.1 | sha1sum
        Assert.Equal("enideb2dee45fc", PodLinkNames.Host("eni", Key("c1", "default", "sample-pod"), index: 1));

    [Fact]
    public void Host_end_with_the_longest_prefix_fits_the_kernel() =>
        Assert.Equal(15, PodLinkNames.Host("abcd", Key("c1", "default", "p"), index: 0).Length);

    [Fact]
    public void Host_end_without_a_pod_name_depends_on_container_interface_and_index()
    {
        string[] names =
        [
            PodLinkNames.Hash(Key("c1", "", ""), index: 0),
            PodLinkNames.Hash(Key("c2", "", ""), index: 0),
            PodLinkNames.Hash(Key("c1", "", ""), index: 1),
            PodLinkNames.Hash(Key("c1", "", "") with { InterfaceName = "net1" }, index: 0),
        ];
        Assert.Distinct(names);
    }

    [Fact]
    public void Marker_has_the_name_that_the_AWS_plugin_looks_for() =>
        Assert.Equal("dummycc21c2d7785", PodLinkNames.Marker(Key("c1", "default", "sample-pod")));

    [Theory]
    [InlineData(0, "net1")]
    [InlineData(1, "mNicIf1")]
    [InlineData(12, "mNicIf12")]
    public void Pod_end_is_numbered_after_the_first(int index, string expected) =>
        Assert.Equal(expected, PodLinkNames.InPod("net1", index));

    [Theory]
    [InlineData("enicc21c2d7785", true)]
    [InlineData("enicc21c2d778", false)]
    [InlineData("enicc21c2d77850", false)]
    [InlineData("enicc21c2d778g", false)]
    [InlineData("eniCC21C2D7785", false)]
    [InlineData("calicc21c2d778", false)]
    public void Host_end_is_recognised_by_prefix_and_hash(string name, bool expected) =>
        Assert.Equal(expected, PodLinkNames.IsHost(name, "eni"));

    private static PodLinkKey Key(string container, string @namespace, string pod) => new(@namespace, pod, container, "eth0");
}
