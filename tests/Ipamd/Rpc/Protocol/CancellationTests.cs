// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

public sealed class CancellationTests
{
    [Theory]
    [InlineData(Transport.UnixSocket, "token")]
    [InlineData(Transport.UnixSocket, "dispose")]
    [InlineData(Transport.UnixSocket, "channel")]
    [InlineData(Transport.LoopbackTcp, "token")]
    [InlineData(Transport.LoopbackTcp, "dispose")]
    public async Task Client_that_cancels_gets_cancelled_and_the_methods_token_fires(Transport transport, string how)
    {
        var entered = new TaskCompletionSource();
        var fired = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(
            transport,
            async (_, context) =>
            {
                using var registration = context.CancellationToken.Register(() => fired.TrySetResult());
                entered.SetResult();
                await fired.Task;
                context.CancellationToken.ThrowIfCancellationRequested();
                return new AddNetworkReply();
            }
        );
        using var source = new CancellationTokenSource();
        var channel = server.Channel();
        var call = new CNIBackend.CNIBackendClient(channel).AddNetworkAsync(new AddNetworkRequest(), cancellationToken: source.Token);
        await entered.Task.WaitAsync(TimeSpan.FromSeconds(20));
        switch (how)
        {
            case "token":
                await source.CancelAsync();
                break;
            case "dispose":
                call.Dispose();
                break;
            case "channel":
                channel.Dispose();
                break;
        }

        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(StatusCode.Cancelled, error.StatusCode);
        Assert.Equal(StatusCode.Cancelled, call.GetStatus().StatusCode);
        await fired.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Empty(server.Logs.Entries);
    }

    [Fact]
    public async Task Token_that_fired_before_the_call_sends_nothing()
    {
        var called = false;
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            (_, _) =>
            {
                called = true;
                return Task.FromResult(new AddNetworkReply());
            }
        );
        var error = await RpcOutcome.FailureOf(
            server.Client().AddNetworkAsync(new AddNetworkRequest(), cancellationToken: new CancellationToken(canceled: true))
        );
        Assert.Equal(StatusCode.Cancelled, error.StatusCode);
        Assert.False(called);
    }

    [Fact]
    public async Task Call_on_a_disposed_channel_is_refused()
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        var channel = server.Channel();
        channel.Dispose();
        channel.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new CNIBackend.CNIBackendClient(channel).AddNetworkAsync(new AddNetworkRequest()));
    }

    [Fact]
    public async Task Dispose_after_the_answer_changes_nothing()
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        var call = server.Client().AddNetworkAsync(new AddNetworkRequest { K8SPODNAME = "a" });
        await call;
        call.Dispose();
        Assert.Equal("a", (await call).PodENIMAC);
        Assert.Equal(Status.DefaultSuccess, call.GetStatus());
    }
}
