// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Shim.Tests;

public sealed class InterfaceNamesTests
{
    // The vectors of the AWS VPC CNI.
    [Theory]
    [InlineData("kube-system", "coredns-57ff979f67-qqbdh", "enib5faff8a083")]
    [InlineData("kube-system", "coredns-57ff979f67-8ns9b", "eni9571956a6cc")]
    [InlineData("default", "sample-pod", "enicc21c2d7785")]
    public void HostVeth_is_the_name_that_the_AWS_plugin_gives(string @namespace, string pod, string expected) =>
        Assert.Equal(expected, InterfaceNames.HostVeth("eni", Call("c1", @namespace, pod), 0));

    [Fact]
    public void HostVeth_of_a_further_card_hashes_pod_and_index() =>
        Assert.Equal("eni" + InterfaceNames.Hash("sample-pod.1"), InterfaceNames.HostVeth("eni", Call("c1", "default", "sample-pod"), 1));

    [Fact]
    public void HostVeth_fits_the_kernel_with_the_longest_prefix() =>
        Assert.Equal(15, InterfaceNames.HostVeth("abcd", Call("c1", "default", "p"), 0).Length);

    [Fact]
    public void HostVeth_without_a_pod_name_depends_on_the_container() =>
        Assert.NotEqual(InterfaceNames.HostVeth("eni", Call("c1", "", ""), 0), InterfaceNames.HostVeth("eni", Call("c2", "", ""), 0));

    [Fact]
    public void Marker_has_the_name_that_the_AWS_plugin_looks_for() =>
        Assert.Equal("dummycc21c2d7785", InterfaceNames.Marker(Call("c1", "default", "sample-pod")));

    [Theory]
    [InlineData(0, "net1")]
    [InlineData(1, "mNicIf1")]
    [InlineData(12, "mNicIf12")]
    public void Pod_interfaces_are_numbered(int index, string expected) => Assert.Equal(expected, InterfaceNames.Pod("net1", index));

    private static Invocation Call(string container, string @namespace, string pod) =>
        new(CniCommand.Add, container, "/n", "eth0", new PodArguments(pod, @namespace, "", ""), false);
}
