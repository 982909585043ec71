// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Shim;
using Xunit;

namespace VpcCni.Kernel.Tests.HostNetwork;

/// <summary>The daemon finds a pod's link by the name that the plugin gives it; the two share no code.</summary>
public sealed class PodLinkNameTests
{
    [Theory]
    [InlineData("default", "web")]
    [InlineData("", "web")]
    [InlineData("", "")]
    public void The_daemon_knows_the_name_that_the_plugin_gives_a_link_in_and_outside_of_Kubernetes(string podNamespace, string name)
    {
        const string container = "3f1a0cbd",
            inside = "eth0";
        var invocation = new Invocation(
            CniCommand.Add,
            container,
            "/run/netns/x",
            inside,
            new PodArguments(name, podNamespace, "", ""),
            AllowOwnNamespace: false
        );
        var attachment = new Attachment
        {
            Key = new AttachmentKey("aws-cni", container, inside),
            Pod = new PodReference(podNamespace, name),
            Addresses = [new HeldAddress(IPAddress.Parse("10.0.0.21"), Place: null)],
            AssignedAt = default,
        };
        Assert.EndsWith(KernelUsage.LinkSuffix(attachment), InterfaceNames.HostVeth("cali", invocation, 0), StringComparison.Ordinal);
    }
}
