// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using Grpc.Core;
using VpcCni.Protos.V1;
using VpcCni.Shim.Ipamd;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Shim.Tests;

/// <summary>
/// Tests the HTTP/2 client against another implementation (nghttp2, in Node.js): Huffman codes, small windows, split frames, trailers.
/// </summary>
public sealed class NodeHttp2Tests : IDisposable
{
    // Answers as a gRPC server: status 200, the number of request bytes as a protobuf message, then trailers. The initial window of 1000
    // bytes splits a large request.
    private const string Server = """
        const http2 = require('http2');
        const server = http2.createServer({ settings: { initialWindowSize: 1000 } });
        server.on('stream', (stream, headers) => {
          let size = 0;
          stream.on('data', d => size += d.length);
          stream.on('end', () => {
            if (headers[':path'].endsWith('CollectGarbage')) {
              stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
              stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': '' }));
              const id = Buffer.from(String(size));
              const key = Buffer.concat([Buffer.from([0x12, id.length]), id]);
              const released = Buffer.concat([Buffer.from([0x0a, key.length]), key]);
              const message = Buffer.concat([Buffer.from([0, 0, 0, 0, released.length]), released]);
              stream.write(message.subarray(0, 3));
              stream.end(message.subarray(3));
            } else {
              stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '8', 'grpc-message': 'pool empty %E2%80%94 ENI limit' }, { endStream: true });
            }
          });
        });
        server.listen(process.argv[1], () => console.log('listening'));
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("node-http2-").FullName;
    private readonly Process _node;

    public NodeHttp2Tests()
    {
        var start = new ProcessStartInfo(Requirement.NeedProgram("node")) { RedirectStandardOutput = true, UseShellExecute = false };
        start.ArgumentList.Add("-e");
        start.ArgumentList.Add(Server);
        start.ArgumentList.Add(SocketPath);
        _node = Process.Start(start)!;
        Assert.Equal("listening", _node.StandardOutput.ReadLine());
    }

    private string SocketPath => Path.Combine(_folder, "s");

    public void Dispose()
    {
        _node.Kill();
        _node.WaitForExit();
        _node.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(30)]
    [InlineData(5000)]
    public void Request_of_any_size_is_received_and_answered(int attachments)
    {
        var request = new CollectGarbageRequest { NetworkName = "aws-cni" };
        for (var i = 0; i < attachments; i++)
            request.ValidAttachments.Add(new AttachmentKey { ContainerId = $"container-{i}", InterfaceName = "eth0" });

        var reply = new NodeIpam.NodeIpamClient(Invoker()).CollectGarbage(request, Within(TimeSpan.FromSeconds(20)));

        Assert.Equal($"{request.CalculateSize() + 5}", Assert.Single(reply.Released).ContainerId);
    }

    [Fact]
    public void Status_in_headers_only_is_returned_with_its_message()
    {
        var error = Assert.Throws<RpcException>(() =>
            new NodeIpam.NodeIpamClient(Invoker()).GetStatus(new GetStatusRequest(), Within(TimeSpan.FromSeconds(20)))
        );

        Assert.Equal((StatusCode.ResourceExhausted, "pool empty — ENI limit"), (error.StatusCode, error.Status.Detail));
    }

    [Fact]
    public void Call_without_a_deadline_is_rejected() =>
        Assert.Throws<ArgumentException>(() => new NodeIpam.NodeIpamClient(Invoker()).GetStatus(new GetStatusRequest()));

    private UnixCallInvoker Invoker() => new(SocketPath, TimeProvider.System);

    private static CallOptions Within(TimeSpan timeout) => new(deadline: DateTime.UtcNow + timeout);
}
