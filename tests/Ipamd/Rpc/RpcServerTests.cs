// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Datapath;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Rpc;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Protos.Rpc;
using VpcCni.Protos.V1;
using VpcCni.Tests.Shared;
using Xunit;
using Health = Grpc.Health.V1.Health;

namespace VpcCni.Ipamd.Tests.Rpc;

/// <summary>Runs the services on a real socket over an in-memory pool.</summary>
public sealed class RpcServerTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-rpc-");
    private readonly PoolHarness _pool = new(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
    private readonly List<string> _warned = [];
    private readonly List<string> _reasons = [];
    private int _linksDeleted;
    private DaemonState _state = null!;
    private readonly PoolHistory _history = new();
    private ApiRateLimiter _budget = null!;
    private RpcServer _server = null!;
    private GrpcChannel _channel = null!;

    private string SocketPath => Path.Combine(_folder.FullName, "run", "ipamd.sock");

    public async ValueTask InitializeAsync()
    {
        Requirement.NeedRoot();
        _state = new DaemonState("test", _pool.Time);
        _state.Attach(Facts.Healthy);
        _budget = new ApiRateLimiter(new ApiBudgetOptions(), (_, _, _) => { }, _pool.Time, new Random(1));
        var ranges = new NetworkRanges(() => { });
        ranges.Set([System.Net.IPNetwork.Parse("10.0.0.0/16")]);
        var settings = new CniReplySettings(ExternalSnat: true, NetworkPolicyMode: "standard");
        _server = await StartAsync(ranges, settings);
        _channel = DaemonChannel.Connect(SocketPath);
    }

    public async ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        if (_server is not null)
            await _server.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void Socket_is_for_root_only() => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(SocketPath));

    [Fact]
    public async Task Second_server_on_a_live_socket_is_refused_and_a_stale_one_replaced()
    {
        var exception = await Assert.ThrowsAsync<IOException>(() =>
            StartAsync(new NetworkRanges(() => { }), new CniReplySettings(false, ""))
        );
        Assert.Contains("served by another daemon", exception.Message, StringComparison.Ordinal);
        await _server.DisposeAsync();
        File.Delete(SocketPath);
        // A crash leaves a socket file without a listener. The file is moved, because .NET deletes a socket file that it bound.
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(SocketPath + ".dead"));
            File.Move(SocketPath + ".dead", SocketPath);
        }

        Assert.True(File.Exists(SocketPath));
        _server = await StartAsync(new NetworkRanges(() => { }), new CniReplySettings(false, ""));
    }

    [Fact]
    public async Task Health_is_serving_once_an_add_can_be_served_and_liveness_always()
    {
        var health = new Health.HealthClient(_channel);
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.NotServing, (await health.CheckAsync(new HealthCheckRequest())).Status);
        Assert.Equal(
            HealthCheckResponse.Types.ServingStatus.Serving,
            (await health.CheckAsync(new HealthCheckRequest { Service = "liveness" })).Status
        );
        var outcome = await _pool.StepAsync();
        _state.Serving(_pool.Reconciler);
        _state.Stepped(outcome);
        Assert.Equal(
            HealthCheckResponse.Types.ServingStatus.Serving,
            (await health.CheckAsync(new HealthCheckRequest { Service = "grpc.health.v1.aws-node" })).Status
        );
        Assert.Equal(
            StatusCode.NotFound,
            (
                await Assert.ThrowsAsync<RpcException>(async () => await health.CheckAsync(new HealthCheckRequest { Service = "x" }))
            ).StatusCode
        );
    }

    [Fact]
    public async Task Health_command_reports_by_exit_code()
    {
        Assert.Equal((1, "not serving\n", ""), await CommandAsync("health"));
        Assert.Equal((0, "serving\n", ""), await CommandAsync("health", "--service", "liveness"));
        Assert.Equal(1, (await CommandAsync("health", "--service", "x")).Code);
        var outcome = await _pool.StepAsync();
        _state.Serving(_pool.Reconciler);
        _state.Stepped(outcome);
        Assert.Equal(0, (await CommandAsync("health")).Code);
        await _server.DisposeAsync();
        Assert.Equal(2, (await CommandAsync("health", "--service", "liveness")).Code);
    }

    /// <summary>Places the option behind the arguments and before the command, for every command that has it.</summary>
    [Theory]
    [InlineData(0, "pods", "--json")]
    [InlineData(0, "--json", "pods")]
    [InlineData(1, "status", "--json")]
    [InlineData(1, "health", "--verbose", "--json")]
    [InlineData(1, "health", "--json")]
    [InlineData(3, "explain", "default/nobody", "--json")]
    [InlineData(0, "access", "--json")]
    [InlineData(0, "access", "no-releases", "--json")]
    public async Task Json_option_at_any_position_prints_one_object(int code, params string[] arguments)
    {
        var outcome = await CommandAsync(arguments);
        Assert.Equal((code, ""), (outcome.Code, outcome.Error));
        using var document = JsonDocument.Parse(outcome.Output);
        Assert.Equal(JsonValueKind.Object, document.RootElement.ValueKind);
    }

    [Fact]
    public async Task Access_alone_shows_the_level_in_force()
    {
        Assert.Equal((0, "cloud access is full\n", ""), await CommandAsync("access"));
        Assert.Equal((0, "cloud access is no-calls (was full) until the daemon restarts\n", ""), await CommandAsync("access", "no-calls"));
        Assert.Equal((0, """{"access":"no-calls"}""" + "\n", ""), await CommandAsync("access", "--json"));
        var wrong = await CommandAsync("access", "ful");
        Assert.Equal((64, CloudAccess.NoCalls), (wrong.Code, _budget.Access));
        Assert.Contains("'no-releases'", wrong.Error, StringComparison.Ordinal);
    }

    private async Task<(int Code, string Output, string Error)> CommandAsync(params string[] arguments)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var commands = TestCommands.Create(new CommandConsole(output, error));
        return (await commands.InvokeAsync(arguments, new IpamdOptions { SocketPath = SocketPath }), output.ToString(), error.ToString());
    }

    [Fact]
    public async Task Add_is_idempotent_and_fills_the_reply()
    {
        await _pool.StepAsync();
        var backend = new CNIBackend.CNIBackendClient(_channel);
        var reply = await backend.AddNetworkAsync(Add("a"));
        Assert.True(reply.Success);
        Assert.Equal((true, "standard", "10.0.0.0/16"), (reply.UseExternalSNAT, reply.NetworkPolicyMode, Assert.Single(reply.VPCv4CIDRs)));
        var address = Assert.Single(reply.IPAllocationMetadata);
        Assert.Equal((0, 254), (address.DeviceNumber, address.RouteTableId));
        Assert.Equal(address, Assert.Single((await backend.AddNetworkAsync(Add("a"))).IPAllocationMetadata));
        var released = await backend.DelNetworkAsync(Del("a"));
        Assert.Equal(address, Assert.Single(released.IPAllocationMetadata));
        Assert.Equal((1, "PodDeleted"), (_linksDeleted, Assert.Single(_reasons)));
    }

    [Fact]
    public async Task Add_for_another_namespace_than_recorded_sets_a_trailer()
    {
        await _pool.StepAsync();
        Assert.Null(await OtherNamespaceAsync("/run/netns/a"));
        Assert.Null(await OtherNamespaceAsync("/run/netns/a"));
        Assert.Equal("1", await OtherNamespaceAsync("/run/netns/b"));
        Assert.Equal("/run/netns/a", _pool.Ledger.Attachments().Single().NetnsPath);

        async Task<string?> OtherNamespaceAsync(string netns)
        {
            var request = Add("a");
            request.Netns = netns;
            using var call = new CNIBackend.CNIBackendClient(_channel).AddNetworkAsync(request);
            await call;
            return call.GetTrailers().GetValue("vpccni-other-namespace");
        }
    }

    [Fact]
    public async Task Del_of_an_unknown_attachment_has_the_text_of_the_reference()
    {
        var failure = await Assert.ThrowsAsync<RpcException>(async () =>
            await new CNIBackend.CNIBackendClient(_channel).DelNetworkAsync(Del("nobody"))
        );
        Assert.Equal((StatusCode.Unknown, "datastore: unknown pod"), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task Requests_without_a_key_and_for_several_network_cards_are_refused()
    {
        var backend = new CNIBackend.CNIBackendClient(_channel);
        var missing = await Assert.ThrowsAsync<RpcException>(async () => await backend.AddNetworkAsync(new AddNetworkRequest()));
        Assert.Equal((StatusCode.InvalidArgument, "missing: ContainerID, IfName"), (missing.StatusCode, missing.Status.Detail));
        var cards = Add("a");
        cards.RequiresMultiNICAttachment = true;
        Assert.Equal(
            StatusCode.Unimplemented,
            (await Assert.ThrowsAsync<RpcException>(async () => await backend.AddNetworkAsync(cards))).StatusCode
        );
    }

    [Fact]
    public async Task Exhausted_pool_is_resource_exhausted_with_text_and_typed_reason()
    {
        await _pool.StepAsync();
        var backend = new CNIBackend.CNIBackendClient(_channel);
        foreach (var container in new[] { "a", "b", "c" })
            await backend.AddNetworkAsync(Add(container));
        var waiting = backend.AddNetworkAsync(Add("d")).ResponseAsync;
        await Eventually.TrueAsync(() => _pool.Waiting.Demand == 1);
        await _pool.StepAsync();
        var failure = await Assert.ThrowsAsync<RpcException>(() => waiting);
        Assert.Equal(StatusCode.ResourceExhausted, failure.StatusCode);
        Assert.Contains("3 attached, 3 assigned, 0 cooling", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Equal("ProvisioningDisabled", failure.Trailers.GetValue(Contract.ReasonTrailer));
    }

    [Fact]
    public async Task Checkpoint_that_cannot_be_written_is_unavailable()
    {
        await _pool.StepAsync();
        _pool.File.RefuseWrites = true;
        var failure = await Assert.ThrowsAsync<RpcException>(async () =>
            await new CNIBackend.CNIBackendClient(_channel).AddNetworkAsync(Add("a"))
        );
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("no space left on device", failure.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Garbage_collection_releases_what_is_unlisted_and_not_new()
    {
        await _pool.StepAsync();
        await _pool.AddAsync("valid");
        await _pool.AddAsync("garbage");
        _pool.Time.Advance(TimeSpan.FromMinutes(1));
        await _pool.AddAsync("new");
        var node = new NodeIpam.NodeIpamClient(_channel);
        var request = new CollectGarbageRequest
        {
            NetworkName = "aws-cni",
            ValidAttachments =
            {
                new AttachmentKey { ContainerId = "valid", InterfaceName = "eth0" },
            },
        };
        Assert.Equal("garbage", Assert.Single((await node.CollectGarbageAsync(request)).Released).ContainerId);
        Assert.Equal(["new", "valid"], _pool.Ledger.Attachments().Select(item => item.Key.ContainerId).Order(StringComparer.Ordinal));
        Assert.Empty(
            (await node.CollectGarbageAsync(new CollectGarbageRequest { NetworkName = "other", ValidAttachmentsGiven = true })).Released
        );
    }

    [Fact]
    public async Task Absent_list_of_valid_attachments_is_rejected_and_empty_one_releases_all()
    {
        await _pool.StepAsync();
        await _pool.AddAsync("a");
        _pool.Time.Advance(TimeSpan.FromMinutes(1));
        var node = new NodeIpam.NodeIpamClient(_channel);
        var failure = await Assert.ThrowsAsync<RpcException>(async () =>
            await node.CollectGarbageAsync(new CollectGarbageRequest { NetworkName = "aws-cni" })
        );
        Assert.Equal(StatusCode.InvalidArgument, failure.StatusCode);
        Assert.Single(_pool.Ledger.Attachments());
        Assert.Single(
            (await node.CollectGarbageAsync(new CollectGarbageRequest { NetworkName = "aws-cni", ValidAttachmentsGiven = true })).Released
        );
    }

    [Fact]
    public async Task Check_list_and_status_report_the_attachment()
    {
        await _pool.StepAsync();
        await _pool.AddAsync("a");
        var node = new NodeIpam.NodeIpamClient(_channel);
        var key = new AttachmentKey
        {
            NetworkName = "aws-cni",
            ContainerId = "a",
            InterfaceName = "eth0",
        };
        var attachment = (await node.CheckAttachmentAsync(new CheckAttachmentRequest { Attachment = key })).Attachment;
        Assert.Equal((254u, "default", "a"), (attachment.RouteTable, attachment.PodNamespace, attachment.PodName));
        Assert.Equal(attachment, Assert.Single((await node.ListAttachmentsAsync(new ListAttachmentsRequest())).Attachments));
        key.ContainerId = "b";
        Assert.Equal(
            StatusCode.NotFound,
            (
                await Assert.ThrowsAsync<RpcException>(async () =>
                    await node.CheckAttachmentAsync(new CheckAttachmentRequest { Attachment = key })
                )
            ).StatusCode
        );
        var status = await node.GetStatusAsync(new GetStatusRequest());
        Assert.Equal((3u, 1u, 2u), (status.Pool.Total, status.Pool.Assigned, status.Pool.Available));
        Assert.Equal(
            StatusCode.Unavailable,
            (
                await Assert.ThrowsAsync<RpcException>(async () =>
                    await new ConfigServerBackend.ConfigServerBackendClient(_channel).GetNetworkPolicyConfigsAsync(new Empty())
                )
            ).StatusCode
        );
    }

    /// <summary>Only an agent that enforces policies calls; without one, the mode is no reason for a warning.</summary>
    [Fact]
    public async Task Policy_agent_request_warns_once()
    {
        Assert.Empty((await new NodeIpam.NodeIpamClient(_channel).GetStatusAsync(new GetStatusRequest())).Warnings);
        var agent = new ConfigServerBackend.ConfigServerBackendClient(_channel);
        _state.Identified(await _pool.Cloud.IdentifyNodeAsync(CancellationToken.None));
        for (var start = 0; start < 2; start++)
            Assert.Equal("standard", (await agent.GetNetworkPolicyConfigsAsync(new Empty())).NetworkPolicyMode);
        Assert.Contains("a network policy agent runs on this node", Assert.Single(_warned), StringComparison.Ordinal);
        Assert.Equal(_warned, (await new NodeIpam.NodeIpamClient(_channel).GetStatusAsync(new GetStatusRequest())).Warnings);
    }

    [Fact]
    public async Task Cloud_access_is_set_and_reported_and_an_invalid_one_is_rejected()
    {
        var node = new NodeIpam.NodeIpamClient(_channel);
        Assert.Equal("full", (await node.SetCloudAccessAsync(new SetCloudAccessRequest { Access = "no-releases" })).Previous);
        Assert.Equal(CloudAccess.NoReleases, _budget.Access);
        var status = await node.GetStatusAsync(new GetStatusRequest());
        Assert.Equal("no-releases", status.Cloud.Access);
        Assert.Contains(status.Problems, problem => problem.Contains("ipamd access full", StringComparison.Ordinal));
        Assert.Equal(["describe", "mutate", "assign"], status.Cloud.Budget.Select(bucket => bucket.Kind));
        var refused = await Assert.ThrowsAsync<RpcException>(async () =>
            await node.SetCloudAccessAsync(new SetCloudAccessRequest { Access = "none" })
        );
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("full, no-releases or no-calls", refused.Status.Detail, StringComparison.Ordinal);
    }

    private Task<RpcServer> StartAsync(NetworkRanges ranges, CniReplySettings settings) =>
        RpcServer.StartAsync(
            SocketPath,
            new CniBackendService(_pool.Service, ranges, settings, () => _linksDeleted++, _reasons.Add),
            new ConfigServerService(_state, settings, _warned.Add),
            new NodeIpamService(
                new NodeIpamParts(
                    _pool.Ledger,
                    _pool.Service,
                    _pool.Waiting,
                    _budget,
                    new PoolSignal(),
                    _pool.Pool,
                    _history,
                    _state,
                    new HealthMonitor(_state, _pool.Ledger, (_, _) => { }, _pool.Time, NullLogger<HealthMonitor>.Instance),
                    _pool.Time
                )
            ),
            new HealthService(_state),
            NullLoggerFactory.Instance,
            TestContext.Current.CancellationToken
        );

    private static AddNetworkRequest Add(string container) =>
        new()
        {
            NetworkName = "aws-cni",
            ContainerID = container,
            IfName = "eth0",
            K8SPODNAMESPACE = "default",
            K8SPODNAME = container,
        };

    private static DelNetworkRequest Del(string container) =>
        new()
        {
            NetworkName = "aws-cni",
            ContainerID = container,
            IfName = "eth0",
            Reason = "PodDeleted",
        };
}
