// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

public sealed class UnaryCallTests
{
    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Call_answered_returns_message_status_and_headers(Transport transport)
    {
        await using var server = await TestServer.StartAsync(transport, new ScriptedBackend());
        using var call = server.Client().AddNetworkAsync(new AddNetworkRequest { K8SPODNAME = "pod-1" });
        Assert.Equal(new AddNetworkReply { Success = true, PodENIMAC = "pod-1" }, await call);
        Assert.Equal(Status.DefaultSuccess, call.GetStatus());
        Assert.Empty(call.GetTrailers());
        Assert.DoesNotContain(await call.ResponseHeadersAsync, entry => entry.Key.StartsWith("grpc-", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Blocking_call_returns_the_message_and_throws_the_status(Transport transport)
    {
        await using var server = await TestServer.StartAsync(transport, new ScriptedBackend());
        var client = server.Client();
        Assert.Equal("pod-2", client.AddNetwork(new AddNetworkRequest { K8SPODNAME = "pod-2" }).PodENIMAC);
        var error = Assert.Throws<RpcException>(() => client.DelNetwork(new DelNetworkRequest()));
        Assert.Equal(StatusCode.Unimplemented, error.StatusCode);
    }

    [Fact]
    public async Task Empty_message_is_sent_and_received()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (request, _) =>
                Task.FromResult(Equals(request, new AddNetworkRequest()) ? new AddNetworkReply() : new AddNetworkReply { Success = true })
        );
        Assert.Equal(new AddNetworkReply(), await server.Client().AddNetworkAsync(new AddNetworkRequest()));
    }

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Two_hundred_calls_at_once_on_one_channel_all_get_their_own_answer(Transport transport)
    {
        const int Calls = 200;
        var running = 0;
        var atOnce = 0;
        await using var server = await TestServer.StartAsync(
            transport,
            async (request, _) =>
            {
                // The calls wait until many run at once, so that the test cannot pass by running them one after the other. Kestrel admits
                // 100 streams per connection.
                var now = Interlocked.Increment(ref running);
                InterlockedMax(ref atOnce, now);
                await VpcCni.Tests.Shared.Eventually.TrueAsync(() => Volatile.Read(ref atOnce) >= 50);
                Interlocked.Decrement(ref running);
                return new AddNetworkReply { PodENIMAC = request.K8SPODNAME };
            }
        );
        var client = server.Client();
        var replies = await Task.WhenAll(
            Enumerable.Range(0, Calls).Select(i => client.AddNetworkAsync(new AddNetworkRequest { K8SPODNAME = $"pod-{i}" }).ResponseAsync)
        );
        Assert.Equal(Enumerable.Range(0, Calls).Select(i => $"pod-{i}"), replies.Select(reply => reply.PodENIMAC));
        Assert.True(atOnce >= 50, $"only {atOnce} calls ran together");
    }

    [Fact]
    public async Task Service_that_is_not_registered_is_created_and_disposed_per_call()
    {
        var counter = new Counter();
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            services => services.AddSingleton(counter).AddGrpc(),
            app => app.MapGrpcService<PerCallBackend>()
        );
        var client = server.Client();
        await client.AddNetworkAsync(new AddNetworkRequest());
        await client.AddNetworkAsync(new AddNetworkRequest());
        Assert.Equal((2, 2), (counter.Made, counter.Disposed));
    }

    [Fact]
    public async Task Two_services_on_one_server_are_routed_by_name()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            services => services.AddSingleton(new ScriptedBackend()).AddGrpc(),
            app =>
            {
                app.MapGrpcService<ScriptedBackend>();
                app.MapGrpcService<Config>();
            }
        );
        var channel = server.Channel();
        Assert.True((await new CNIBackend.CNIBackendClient(channel).AddNetworkAsync(new AddNetworkRequest())).Success);
        Assert.Equal(
            "strict",
            (
                await new ConfigServerBackend.ConfigServerBackendClient(channel).GetNetworkPolicyConfigsAsync(
                    new Google.Protobuf.WellKnownTypes.Empty()
                )
            ).NetworkPolicyMode
        );
    }

    [Fact]
    public async Task Status_read_before_the_end_is_refused()
    {
        var release = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            async (_, _) =>
            {
                await release.Task;
                return new AddNetworkReply();
            }
        );
        using var call = server.Client().AddNetworkAsync(new AddNetworkRequest());
        Assert.Throws<InvalidOperationException>(() => call.GetStatus());
        Assert.Throws<InvalidOperationException>(() => call.GetTrailers());
        release.SetResult();
        await call;
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    private static void InterlockedMax(ref int target, int value)
    {
        for (var seen = Volatile.Read(ref target); seen < value; )
        {
            var before = Interlocked.CompareExchange(ref target, value, seen);
            if (before == seen)
                return;
            seen = before;
        }
    }

    private sealed class Config : ConfigServerBackend.ConfigServerBackendBase
    {
        public override Task<NetworkPolicyAgentConfigReply> GetNetworkPolicyConfigs(
            Google.Protobuf.WellKnownTypes.Empty request,
            ServerCallContext context
        ) => Task.FromResult(new NetworkPolicyAgentConfigReply { NetworkPolicyMode = "strict" });
    }

    private sealed class Counter
    {
        public int Made { get; set; }

        public int Disposed { get; set; }
    }

    private sealed class PerCallBackend : CNIBackend.CNIBackendBase, IDisposable
    {
        private readonly Counter _counter;

        public PerCallBackend(Counter counter)
        {
            _counter = counter;
            _counter.Made++;
        }

        public override Task<AddNetworkReply> AddNetwork(AddNetworkRequest request, ServerCallContext context) =>
            Task.FromResult(new AddNetworkReply());

        public void Dispose() => _counter.Disposed++;
    }
}
