// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Tests.GrpcHarness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc.Protocol;

public sealed class MessageSizeTests
{
    private const int Limit = 10_000;
    private const int Megabyte = 1024 * 1024;

    /// <summary>Field number and length of the one string in the request and in the reply.</summary>
    private const int Overhead = 3;

    [Theory]
    [InlineData(Transport.UnixSocket)]
    [InlineData(Transport.LoopbackTcp)]
    public async Task Large_message_is_sent_and_received_whole(Transport transport)
    {
        await using var server = await TestServer.StartAsync(
            transport,
            new ScriptedBackend((request, _) => Task.FromResult(new AddNetworkReply { PodENIMAC = request.Netns })),
            options => options.MaxReceiveMessageSize = null
        );
        var client = server.Client(options => options.MaxReceiveMessageSize = null);
        var text = string.Concat(Enumerable.Range(0, 16 * Megabyte / 8).Select(i => i.ToString("x8")));
        Assert.Equal(text, (await client.AddNetworkAsync(new AddNetworkRequest { Netns = text })).PodENIMAC);
    }

    [Theory]
    [InlineData("server receives", true)]
    [InlineData("server sends", true)]
    [InlineData("client receives", true)]
    [InlineData("client sends", true)]
    [InlineData("server receives", false)]
    [InlineData("server sends", false)]
    [InlineData("client receives", false)]
    [InlineData("client sends", false)]
    public async Task Message_beyond_a_limit_is_resource_exhausted_and_one_at_the_limit_is_not(string limited, bool beyond)
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            new ScriptedBackend((request, _) => Task.FromResult(new AddNetworkReply { PodENIMAC = request.Netns })),
            options =>
            {
                if (limited == "server receives")
                    options.MaxReceiveMessageSize = Limit;
                if (limited == "server sends")
                    options.MaxSendMessageSize = Limit;
            }
        );
        var client = server.Client(options =>
        {
            if (limited == "client receives")
                options.MaxReceiveMessageSize = Limit;
            if (limited == "client sends")
                options.MaxSendMessageSize = Limit;
        });
        var request = new AddNetworkRequest { Netns = new string('x', Limit - Overhead + (beyond ? 1 : 0)) };
        Assert.Equal(beyond ? Limit + 1 : Limit, request.CalculateSize());
        if (beyond)
        {
            var error = await RpcOutcome.FailureOf(client.AddNetworkAsync(request));
            Assert.Equal(StatusCode.ResourceExhausted, error.StatusCode);
        }
        else
        {
            Assert.Equal(request.Netns, (await client.AddNetworkAsync(request)).PodENIMAC);
        }

        Assert.Equal("", (await client.AddNetworkAsync(new AddNetworkRequest())).PodENIMAC);
    }

    [Fact]
    public async Task Server_takes_a_mebibyte_and_no_more()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            new ScriptedBackend((_, _) => Task.FromResult(new AddNetworkReply()))
        );
        await server.Client().AddNetworkAsync(new AddNetworkRequest { Netns = new string('x', Megabyte - 16) });
        var error = await RpcOutcome.FailureOf(
            server.Client().AddNetworkAsync(new AddNetworkRequest { Netns = new string('x', Megabyte + 1) })
        );
        Assert.Equal(StatusCode.ResourceExhausted, error.StatusCode);
    }

    [Fact]
    public async Task Client_takes_four_mebibytes_and_no_more()
    {
        await using var server = await TestServer.StartAsync(
            Transport.UnixSocket,
            new ScriptedBackend((_, _) => Task.FromResult(new AddNetworkReply { PodENIMAC = new string('x', 4 * Megabyte) }))
        );
        Assert.Equal(
            StatusCode.ResourceExhausted,
            (await RpcOutcome.FailureOf(server.Client().AddNetworkAsync(new AddNetworkRequest()))).StatusCode
        );
    }
}
