// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Grpc.Core;
using VpcCni.Netlink;
using VpcCni.Protos.Rpc;
using VpcCni.Shim.Tests;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>DEL removes everything of the sandbox, whichever sources identify it, and nothing else.</summary>
public sealed class DelTests
{
    private const string Dead = "/nonexistent/ipamd.sock";
    private static readonly IPAddress First = IPAddress.Parse("10.250.0.10");
    private static readonly IPAddress Second = IPAddress.Parse("10.250.0.11");

    [Theory]
    [InlineData(true, true, true)]
    [InlineData(true, true, false)]
    [InlineData(true, false, true)]
    [InlineData(true, false, false)]
    [InlineData(false, true, true)]
    [InlineData(false, true, false)]
    [InlineData(false, false, true)]
    public async Task Del_removes_everything_with_any_single_source(bool withDaemon, bool withNamespace, bool withPrevious)
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);

        lab.AssertDeleted(
            lab.Del(withNamespace ? pod.Path! : "", previous: withPrevious ? result : null, socket: withDaemon ? null : Dead)
        );

        if (withDaemon)
            Assert.Empty(lab.Ipamd.State.Attachments);
        using var inside = pod.OpenRouteNetlink();
        Assert.Null(inside.FindLink("eth0"));
    }

    [Fact]
    public async Task Del_without_any_source_changes_nothing_and_succeeds()
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);
        var before = lab.Snapshot();

        Assert.Equal(0, lab.Del("", socket: Dead).ExitCode);

        Assert.Equal(before, lab.Snapshot());
    }

    [Theory]
    [InlineData(true, null)]
    [InlineData(false, null)]
    [InlineData(true, "K8S_POD_NAMESPACE=default;K8S_POD_NAME=another-pod")]
    [InlineData(false, "K8S_POD_NAMESPACE=default;K8S_POD_NAME=another-pod")]
    public async Task Del_with_other_CNI_ARGS_than_its_Add_removes_what_the_daemon_confirms(bool withNamespace, string? arguments)
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var neighbour = lab.CreateNamespace("neighbour");
        lab.Add(neighbour, container: "c0", name: "neighbour");
        var alone = lab.Snapshot();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);

        var run = lab.Plugin("DEL", withNamespace ? pod.Path! : "").Set("CNI_ARGS", arguments).RunIn(lab.Host);

        Assert.Equal((0, ""), (run.ExitCode, run.Stdout));
        Assert.Equal(alone, lab.Snapshot());
        Assert.Contains("ip=10.250.0.11", run.Stderr, StringComparison.Ordinal);
        await ShimLab.ConnectAsync(lab.Host, neighbour, First);
    }

    [Fact]
    public async Task Del_keeps_the_link_that_got_the_address_during_the_call()
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);
        // The next pod of the address, as with a cooldown of 0, is wired before the plugin reads the reply to the DEL.
        lab.Ipamd.State.OnDel = (_, _) =>
        {
            lab.HostNetlink.Execute(
                LinkRequests.CreateVeth(
                    new VethSpec
                    {
                        Name = "next0",
                        PeerName = "next1",
                        PeerUp = true,
                    }
                )
            );
            var next = lab.HostNetlink.FindLink("next0")!.Index;
            lab.HostNetlink.Execute(LinkRequests.SetUp("next0", up: true));
            lab.HostNetlink.Execute(
                RouteRequests.Replace(
                    new RouteInfo
                    {
                        Family = IpFamily.V4,
                        Destination = new IPNetwork(First, 32),
                        LinkIndex = next,
                        Table = RouteTable.Main,
                        Scope = RouteScope.Link,
                        Protocol = RouteProtocol.Boot,
                        Type = RouteType.Unicast,
                    }
                )
            );
            return Task.CompletedTask;
        };

        Assert.Equal(0, lab.Plugin("DEL", "").Set("CNI_ARGS", null).RunIn(lab.Host).ExitCode);

        Assert.NotNull(lab.HostNetlink.FindLink("next0"));
        Assert.Equal(2, lab.HostNetlink.GetRules(IpFamily.V4).Count(rule => rule.Priority is 512 or 1536));
    }

    [Fact]
    public async Task Del_without_daemon_or_prevResult_removes_the_link_of_a_removed_namespace()
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);
        // The name is removed and no process is in the namespace, but this test still refers to it, so the kernel keeps the veth.
        NetworkNamespace.DeleteNamed(Path.GetFileName(pod.Path!));

        var run = lab.Del(pod.Path!, socket: Dead);

        lab.AssertDeleted(run);
        Assert.Contains("link=enicc21c2d7785 ip=10.250.0.10", run.Stderr, StringComparison.Ordinal);
        Assert.Contains("the address stays reserved", run.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Del_without_daemon_or_prevResult_keeps_the_link_of_a_namespace_in_use()
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);
        using var process = pod.Run(() => Process.Start(new ProcessStartInfo("sleep", ["60"]))!);
        NetworkNamespace.DeleteNamed(Path.GetFileName(pod.Path!));
        var before = lab.Snapshot();
        try
        {
            var run = lab.Del("", socket: Dead);

            Assert.Equal(0, run.ExitCode);
            Assert.Equal(before, lab.Snapshot());
            Assert.Contains("removed=nothing", run.Stderr, StringComparison.Ordinal);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
    }

    [Theory]
    [InlineData("\\ud800")]
    [InlineData("\\udc00x")]
    public async Task Del_with_a_prevResult_that_is_not_Unicode_removes_everything(string text)
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);
        lab.Destroy(pod);
        await Eventually.TrueAsync(() => lab.HostNetlink.GetLinks().Count == 1);
        var mac = result.GetProperty("interfaces")[0].GetProperty("mac").GetString()!;
        var previous = result.GetRawText().Replace(mac, text, StringComparison.Ordinal);
        var run = lab.Plugin("DEL", pod.Path!, more: $"\"prevResult\":{previous}");
        run.Config = run.Config.Replace(lab.Ipamd.SocketPath, Dead, StringComparison.Ordinal);

        lab.AssertDeleted(run.RunIn(lab.Host));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("0123456789abcdef0123456789abcdef")]
    public async Task Del_ignores_an_invalid_interface_name_in_prevResult(string name)
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);
        var damaged = result
            .GetRawText()
            .Replace(result.GetProperty("interfaces")[0].GetProperty("name").GetString()!, name, StringComparison.Ordinal);

        lab.AssertDeleted(lab.Del(pod.Path!, previous: JsonDocument.Parse(damaged).RootElement));
    }

    [Fact]
    public async Task Del_request_identifies_pod_and_container()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);

        lab.AssertDeleted(lab.Del(pod.Path!));

        var request = Assert.Single(lab.Ipamd.State.Dels);
        Assert.Equal(
            ("sample-pod", "default", "c1", "c1", "eth0", "aws-cni", "PodDeleted", "u1"),
            (
                request.K8SPODNAME,
                request.K8SPODNAMESPACE,
                request.K8SPODINFRACONTAINERID,
                request.ContainerID,
                request.IfName,
                request.NetworkName,
                request.Reason,
                request.K8SPODUID
            )
        );
    }

    [Fact]
    public async Task Del_succeeds_before_Add_twice_and_after_the_namespace_is_removed()
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        lab.AssertDeleted(lab.Del(pod.Path!));
        lab.AssertDeleted(lab.Del(""));
        var result = lab.Add(pod);
        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
        lab.Destroy(pod);
        lab.AssertDeleted(lab.Del(pod.Path!, previous: result));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Del_after_the_veth_is_gone_with_its_namespace_removes_the_rules(bool withDaemon)
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod);
        lab.Destroy(pod);
        await Eventually.TrueAsync(() => lab.HostNetlink.GetLinks().Count == 1);

        lab.AssertDeleted(lab.Del(pod.Path!, previous: result, socket: withDaemon ? null : Dead));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task Del_of_an_old_sandbox_keeps_the_new_one_of_the_same_pod(bool withDaemon, bool withNamespace)
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var old = lab.CreateNamespace("old");
        var oldResult = lab.Add(old, container: "c1");
        var pod = lab.CreateNamespace("pod");
        var result = lab.Add(pod, container: "c2");

        Assert.Equal(
            0,
            lab.Del(withNamespace ? old.Path! : "", container: "c1", previous: oldResult, socket: withDaemon ? null : Dead).ExitCode
        );

        await ShimLab.ConnectAsync(lab.Host, pod, Second);
        Assert.DoesNotContain("10.250.0.10", lab.Snapshot(), StringComparison.Ordinal);
        Assert.Equal(2, lab.HostNetlink.GetRules(IpFamily.V4).Count(rule => rule.Priority is 512 or 1536));
        lab.AssertDeleted(lab.Del(pod.Path!, container: "c2", previous: result));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Repeated_Del_keeps_the_next_pod_of_the_address(bool samePod)
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.Allocate = _ => new IPAllocationMetadata
            {
                IPv4Addr = "10.250.0.10",
                DeviceNumber = 1,
                RouteTableId = 2,
            }
        );
        var old = lab.CreateNamespace("old");
        var oldResult = lab.Add(old, container: "c1");
        lab.AssertDeleted(lab.Del(old.Path!, container: "c1", previous: oldResult));
        lab.Destroy(old);
        var name = samePod ? "sample-pod" : "another-pod";
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod, container: "c2", name: name);
        var before = lab.Snapshot();

        Assert.Equal(0, lab.Del("", container: "c1", previous: oldResult).ExitCode);
        Assert.Equal(0, lab.Del("", container: "c1", previous: oldResult, socket: Dead).ExitCode);
        Assert.Equal(0, lab.Del(old.Path!, container: "c1", previous: oldResult).ExitCode);

        Assert.Equal(before, lab.Snapshot());
        await ShimLab.ConnectAsync(lab.Host, pod, First);
    }

    [Fact]
    public async Task Del_after_a_rejected_Add_keeps_the_conflicting_interface()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        using var inside = pod.OpenRouteNetlink();
        inside.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "eth0",
                    PeerName = "other0",
                    PeerNamespace = lab.Host,
                }
            )
        );
        var before = lab.Snapshot();
        Assert.Equal(101, lab.Plugin("ADD", pod.Path!).RunIn(lab.Host).Code);

        Assert.Equal(0, lab.Del(pod.Path!).ExitCode);

        Assert.Equal(before, lab.Snapshot());
        Assert.NotNull(inside.FindLink("eth0"));
    }

    [Fact]
    public async Task Del_ignores_an_address_that_the_pod_took_from_another_pod()
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var victim = lab.CreateNamespace("victim");
        lab.Add(victim, container: "c1", name: "victim");
        var thief = lab.CreateNamespace("thief");
        var result = lab.Add(thief, container: "c2", name: "thief");
        using var inside = thief.OpenRouteNetlink();
        inside.Execute(AddressRequests.Add(inside.FindLink("eth0")!.Index, First, 32));

        Assert.Equal(0, lab.Del(thief.Path!, container: "c2", name: "thief", previous: result).ExitCode);

        Assert.Equal(2, lab.HostNetlink.GetRules(IpFamily.V4).Count(rule => rule.Priority is 512 or 1536));
        await ShimLab.ConnectAsync(lab.Host, victim, First);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task Del_of_a_pod_that_aws_node_added_removes_everything(bool withDaemon, bool withNamespace)
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        // aws-node wires a pod as this plugin does. Its result has no MAC address of the host end, and the route table in place of the MAC
        // address of the pod end.
        lab.Add(pod);
        var previous = JsonDocument
            .Parse(
                $$"""
                {"cniVersion":"0.4.0","dns":{},"interfaces":[{"name":"enicc21c2d7785"},{"name":"eth0","mac":"2","sandbox":"{{pod.Path}}"},{"name":"dummycc21c2d7785","mac":"0","sandbox":"1"}],
                 "ips":[{"version":"4","interface":1,"address":"10.250.0.10/32"}]}
                """
            )
            .RootElement;

        lab.AssertDeleted(lab.Del(withNamespace ? pod.Path! : "", previous: previous, socket: withDaemon ? null : Dead));
    }

    [Fact]
    public async Task Del_of_a_branch_interface_pod_of_aws_node_removes_its_link_and_rules()
    {
        await using var lab = await ShimLab.StartAsync(OnSecondaryInterface);
        var pod = lab.CreateNamespace("pod");
        using var inside = pod.OpenRouteNetlink();
        inside.Execute(
            LinkRequests.CreateVeth(
                new VethSpec
                {
                    Name = "eth0",
                    PeerName = "vlancc21c2d7785",
                    PeerNamespace = lab.Host,
                    PeerUp = true,
                }
            )
        );
        lab.HostNetlink.Execute(LinkRequests.CreateBridge("vlan.eth.7", up: true));
        foreach (var link in (string[])["vlan.eth.7", "vlancc21c2d7785"])
            lab.HostNetlink.Execute(
                RuleRequests.Add(
                    new RuleInfo
                    {
                        Family = IpFamily.V4,
                        Priority = 10,
                        InputInterface = link,
                        Table = 107,
                    }
                )
            );
        var previous = JsonDocument
            .Parse(
                $$"""
                {"cniVersion":"0.4.0","interfaces":[{"name":"vlancc21c2d7785"},{"name":"eth0","mac":"107","sandbox":"{{pod.Path}}"},{"name":"dummycc21c2d7785","mac":"7","sandbox":"0"}],
                 "ips":[{"version":"4","interface":1,"address":"10.250.0.10/32"}]}
                """
            )
            .RootElement;

        lab.AssertDeleted(lab.Del(pod.Path!, previous: previous));
    }

    [Theory]
    [InlineData(StatusCode.Internal, 110)]
    [InlineData(StatusCode.PermissionDenied, 110)]
    [InlineData(StatusCode.Unavailable, 11)]
    public async Task Del_rejected_by_the_daemon_fails_so_that_the_runtime_retries(StatusCode status, int code)
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.OnDel = (_, _) => throw new RpcException(new Status(status, "checkpoint: disk full"))
        );
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);

        var run = lab.Del(pod.Path!);

        Assert.Equal((1, code), (run.ExitCode, run.Code));
        Assert.Contains("disk full", run.Message, StringComparison.Ordinal);
        lab.Ipamd.State.OnDel = (_, _) => Task.CompletedTask;
        lab.AssertDeleted(lab.Del(pod.Path!));
        Assert.Empty(lab.Ipamd.State.Attachments);
    }

    [Fact]
    public async Task Del_without_an_answer_of_the_daemon_succeeds_at_the_deadline()
    {
        await using var lab = await ShimLab.StartAsync(state =>
            state.OnDel = (_, context) => Task.Delay(Timeout.Infinite, context.CancellationToken)
        );
        var pod = lab.CreateNamespace("pod");
        lab.Add(pod);
        var run = lab.Plugin("DEL", pod.Path!);
        run.Config = run.Config.Replace("\"ipamdTimeoutSeconds\":20", "\"ipamdTimeoutSeconds\":1", StringComparison.Ordinal);
        var started = Stopwatch.GetTimestamp();

        lab.AssertDeleted(run.RunIn(lab.Host));

        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(8));
    }

    [Fact]
    public async Task Del_with_the_namespace_of_the_plugin_changes_nothing_in_it()
    {
        await using var lab = await ShimLab.StartAsync();
        lab.HostNetlink.Execute(LinkRequests.CreateVeth(new VethSpec { Name = "eth0", PeerName = "enicc21c2d7785" }));
        var before = lab.Snapshot();

        Assert.Equal(0, lab.Del(lab.Host.Path!).ExitCode);

        Assert.Equal(before, lab.Snapshot());
    }

    private static void OnSecondaryInterface(FakeIpamdState state) =>
        state.Allocate = static n => new IPAllocationMetadata
        {
            IPv4Addr = $"10.250.0.{n + 10}",
            DeviceNumber = 1,
            RouteTableId = 2,
        };
}
