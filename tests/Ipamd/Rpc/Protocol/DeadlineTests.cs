// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

public sealed class DeadlineTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Method_sees_the_deadline_and_its_token_fires_at_it(Transport transport)
    {
        var deadline = DateTime.UtcNow + Short;
        DateTime? seen = null;
        var fired = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(
            transport,
            async (_, context) =>
            {
                seen = context.Deadline;
                using var registration = context.CancellationToken.Register(() => fired.TrySetResult());
                await fired.Task;
                context.CancellationToken.ThrowIfCancellationRequested();
                return new AddNetworkReply();
            }
        );
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest(), deadline: deadline));
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        await fired.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.InRange(seen!.Value, deadline - TimeSpan.FromMilliseconds(5), deadline + TimeSpan.FromSeconds(5));
        Assert.True(DateTime.UtcNow >= deadline);
    }

    [Fact]
    public async Task Client_times_out_when_the_server_never_answers()
    {
        // A server that ignores grpc-timeout altogether.
        var release = new TaskCompletionSource();
        await using var server = await TestServer.StartRawAsync(_ => release.Task);
        var started = Stopwatch.GetTimestamp();
        var error = await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest(), deadline: DateTime.UtcNow + Short));
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        Assert.InRange(Stopwatch.GetElapsedTime(started), Short * 0.8, TimeSpan.FromSeconds(10));
        release.SetResult();
    }

    [Fact]
    public async Task Client_times_out_while_it_connects()
    {
        // A socket that is bound and listens but never accepts; the connection stays in its backlog.
        using var listener = new System.Net.Sockets.Socket(
            System.Net.Sockets.AddressFamily.InterNetwork,
            System.Net.Sockets.SocketType.Stream,
            System.Net.Sockets.ProtocolType.Tcp
        );
        listener.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        listener.Listen(1);
        using var channel = global::Grpc.Net.Client.GrpcChannel.ForAddress($"http://{listener.LocalEndPoint}");
        var error = await RpcOutcome.FailureOf(
            new CNIBackend.CNIBackendClient(channel).AddNetworkAsync(new AddNetworkRequest(), deadline: DateTime.UtcNow + Short)
        );
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
    }

    [Fact]
    public async Task Deadline_in_the_past_fails_without_a_call()
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
        var client = server.Client();
        var error = await RpcOutcome.FailureOf(client.AddNetworkAsync(new AddNetworkRequest(), deadline: DateTime.UtcNow.AddSeconds(-1)));
        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        Assert.False(called);
        await client.AddNetworkAsync(new AddNetworkRequest());
        Assert.True(called);
    }

    [Fact]
    public async Task Deadline_in_local_time_is_refused()
    {
        await using var server = await TestServer.StartAsync(Transport.UnixSocket, new ScriptedBackend());
        Assert.Throws<InvalidOperationException>(() =>
            server.Client().AddNetworkAsync(new AddNetworkRequest(), deadline: DateTime.Now.AddSeconds(5))
        );
    }

    [Theory]
    [InlineData("awaits")]
    [InlineData("blocks")]
    public async Task Server_answers_at_the_deadline_while_the_method_still_runs(string how)
    {
        // The raw client has no deadline of its own, so only the server can have sent the answer.
        using var release = new ManualResetEventSlim();
        var released = new TaskCompletionSource();
        var left = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            async (_, _) =>
            {
                if (how == "blocks")
                    release.Wait(TimeSpan.FromSeconds(20));
                else
                    await released.Task;
                left.SetResult();
                return new AddNetworkReply();
            }
        );
        try
        {
            var answer = await RawCall.PostAsync(server, RawCall.Frame(new AddNetworkRequest()), call => call.Timeout = "100m");
            Assert.Equal(StatusCode.DeadlineExceeded, answer.GrpcStatus);
            Assert.False(left.Task.IsCompleted);
        }
        finally
        {
            release.Set();
            released.SetResult();
        }

        await left.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Empty(server.Logs.Entries);
    }

    [Fact]
    public async Task Headers_after_the_deadline_are_refused()
    {
        var refused = new TaskCompletionSource<Exception?>();
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            async (_, context) =>
            {
                await Eventually.TrueAsync(() => context.GetHttpContext().Response.HasStarted);
                refused.SetResult(await Record.ExceptionAsync(() => context.WriteResponseHeadersAsync([])));
                return new AddNetworkReply();
            }
        );
        var answer = await RawCall.PostAsync(server, RawCall.Frame(new AddNetworkRequest()), call => call.Timeout = "50m");
        Assert.Equal(StatusCode.DeadlineExceeded, answer.GrpcStatus);
        Assert.IsType<InvalidOperationException>(await refused.Task.WaitAsync(TimeSpan.FromSeconds(20)));
    }
}
