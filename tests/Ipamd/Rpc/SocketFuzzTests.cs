// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Rpc;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Protos.Rpc;
using VpcCni.Protos.V1;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Rpc;

/// <summary>
/// Sends random and damaged input to the daemon's socket for a bounded time: bytes, HTTP/2 frames, gRPC messages and protobuf fields.
/// Afterwards the daemon must answer, hold only attachments that well-formed requests created, and have no pending ADD. A failure prints
/// the seed; FUZZ_SEED runs it again.
/// </summary>
public sealed class SocketFuzzTests : IAsyncLifetime
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(5);
    private static readonly string[] Methods =
    [
        "/rpc.CNIBackend/AddNetwork",
        "/rpc.CNIBackend/DelNetwork",
        "/vpccni.v1.NodeIpam/CheckAttachment",
        "/vpccni.v1.NodeIpam/CollectGarbage",
        "/vpccni.v1.NodeIpam/GetStatus",
        "/vpccni.v1.NodeIpam/Explain",
        "/vpccni.v1.NodeIpam/SetCloudAccess",
        "/rpc.ConfigServerBackend/GetNetworkPolicyConfigs",
        "/grpc.health.v1.Health/Check",
        "/nobody/Knows",
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-fuzz-");
    private readonly PoolHarness _pool = new(new FakeCloud().WithPrimary(14), provisioningDisabled: true);
    private RpcServer _server = null!;

    private string SocketPath => Path.Combine(_folder.FullName, "ipamd.sock");

    public async ValueTask InitializeAsync()
    {
        Requirement.NeedRoot();
        var state = new DaemonState("test", _pool.Time);
        state.Attach(Facts.Healthy);
        var settings = new CniReplySettings(ExternalSnat: false, NetworkPolicyMode: "");
        _server = await RpcServer.StartAsync(
            SocketPath,
            new CniBackendService(_pool.Service, new NetworkRanges(() => { }), settings, () => { }, _ => { }),
            new ConfigServerService(state, settings, _ => { }),
            new NodeIpamService(
                new NodeIpamParts(
                    _pool.Ledger,
                    _pool.Service,
                    _pool.Waiting,
                    new ApiRateLimiter(new ApiBudgetOptions(), (_, _, _) => { }, _pool.Time, new Random(1)),
                    new PoolSignal(),
                    _pool.Pool,
                    new PoolHistory(),
                    state,
                    new HealthMonitor(state, _pool.Ledger, (_, _) => { }, _pool.Time, NullLogger<HealthMonitor>.Instance),
                    _pool.Time
                )
            ),
            new HealthService(state),
            NullLoggerFactory.Instance,
            TestContext.Current.CancellationToken
        );
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Random_and_damaged_input_leaves_the_daemon_serving_and_empty()
    {
        await _pool.StepAsync();
        var seed = int.TryParse(Environment.GetEnvironmentVariable("FUZZ_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"FUZZ_SEED={seed}");
        var random = new Random(seed);
        var started = TimeProvider.System.GetTimestamp();
        var rounds = 0;
        try
        {
            for (; TimeProvider.System.GetElapsedTime(started) < Duration; rounds++)
                await SendAsync(Input(random), random.Next(3) == 0);
            Assert.True(rounds > 50, $"only {rounds} inputs in {Duration}");
            await AssertSoundAsync();
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"after {rounds} inputs of FUZZ_SEED={seed}", failure);
        }
    }

    private async Task AssertSoundAsync()
    {
        using var channel = DaemonChannel.Connect(SocketPath);
        var node = new NodeIpam.NodeIpamClient(channel);
        var deadline = DateTime.UtcNow.AddSeconds(10);
        // Releases what the well-formed requests reserved, by the daemon's own list; nothing outside that list may remain.
        foreach (var attachment in (await node.ListAttachmentsAsync(new ListAttachmentsRequest(), deadline: deadline)).Attachments)
        {
            Assert.NotEmpty(attachment.Key.ContainerId);
            var key = attachment.Key;
            await new CNIBackend.CNIBackendClient(channel).DelNetworkAsync(
                new DelNetworkRequest
                {
                    NetworkName = key.NetworkName,
                    ContainerID = key.ContainerId,
                    IfName = key.InterfaceName,
                },
                deadline: deadline
            );
        }

        var status = await node.GetStatusAsync(new GetStatusRequest(), deadline: deadline);
        Assert.Equal((14u, 0u, 0u), (status.Pool.Total, status.Pool.Assigned, status.WaitingAdds));
        Assert.Equal(_pool.Ledger.View(_pool.Time.GetUtcNow()).Total, (int)(status.Pool.Available + status.Pool.Cooling));
    }

    private byte[] Input(Random random) =>
        random.Next(5) switch
        {
            0 => Bytes(random, random.Next(1, 2000)),
            1 => Mutate(random, Request(random, Methods[random.Next(Methods.Length)], Message(random))),
            2 => Request(random, Methods[random.Next(Methods.Length)], Bytes(random, random.Next(0, 400))),
            3 => Request(random, Methods[random.Next(Methods.Length)], Mutate(random, Message(random))),
            _ =>
            [
                .. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8,
                .. Enumerable
                    .Range(0, random.Next(1, 12))
                    .SelectMany(_ =>
                        Frame((byte)random.Next(12), (byte)random.Next(256), random.Next(4), Bytes(random, random.Next(0, 60)))
                    ),
            ],
        };

    /// <summary>Writes, sometimes reads a little, and closes the connection without a shutdown.</summary>
    private async Task SendAsync(byte[] input, bool read)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), limit.Token);
        try
        {
            await socket.SendAsync(input, limit.Token);
            if (!read)
                return;
            socket.Shutdown(SocketShutdown.Send);
            var buffer = new byte[4096];
            while (await socket.ReceiveAsync(buffer, limit.Token) > 0) { }
        }
        catch (SocketException)
        {
            // The daemon closed the connection on malformed input, as it should.
        }
    }

    private static byte[] Message(Random random) =>
        random.Next(3) switch
        {
            0 => new AddNetworkRequest
            {
                NetworkName = "aws-cni",
                ContainerID = $"fuzz{random.Next(20)}",
                IfName = "eth0",
                K8SPODNAMESPACE = "default",
                K8SPODNAME = "p",
                Netns = "/run/netns/p",
            }.ToByteArray(),
            1 => new DelNetworkRequest
            {
                NetworkName = "aws-cni",
                ContainerID = $"fuzz{random.Next(20)}",
                IfName = "eth0",
                Reason = "PodDeleted",
            }.ToByteArray(),
            _ => new CollectGarbageRequest
            {
                NetworkName = "aws-cni",
                ValidAttachmentsGiven = random.Next(2) == 0,
                ValidAttachments =
                {
                    new AttachmentKey { ContainerId = "a", InterfaceName = "eth0" },
                },
            }.ToByteArray(),
        };

    /// <summary>Preface, SETTINGS, HEADERS (literals without indexing, RFC 7541 section 6.2.2) and DATA with one gRPC message.</summary>
    private static byte[] Request(Random random, string path, byte[] message)
    {
        var headers = new List<byte>();
        foreach (
            var (name, value) in (ReadOnlySpan<(string, string)>)
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", path),
                    (":authority", "x"),
                    ("te", "trailers"),
                    ("content-type", "application/grpc"),
                    ("grpc-timeout", $"{random.Next(1, 500)}m"),
                ]
        )
        {
            headers.Add(0);
            headers.Add((byte)name.Length);
            headers.AddRange(Encoding.ASCII.GetBytes(name));
            headers.Add((byte)value.Length);
            headers.AddRange(Encoding.ASCII.GetBytes(value));
        }

        var framed = new byte[5 + message.Length];
        BinaryPrimitives.WriteInt32BigEndian(framed.AsSpan(1), message.Length);
        message.CopyTo(framed, 5);
        return [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(4, 0, 0, []), .. Frame(1, 4, 1, [.. headers]), .. Frame(0, 1, 1, framed)];
    }

    /// <summary>RFC 9113, section 4.1.</summary>
    private static byte[] Frame(byte type, byte flags, int stream, byte[] payload) =>
        [
            (byte)(payload.Length >> 16),
            (byte)(payload.Length >> 8),
            (byte)payload.Length,
            type,
            flags,
            (byte)(stream >> 24),
            (byte)(stream >> 16),
            (byte)(stream >> 8),
            (byte)stream,
            .. payload,
        ];

    private static byte[] Bytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] Mutate(Random random, byte[] input)
    {
        var bytes = (byte[])input.Clone();
        for (var changes = random.Next(1, 6); changes > 0 && bytes.Length > 0; changes--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return random.Next(4) == 0 ? bytes[..random.Next(bytes.Length + 1)] : bytes;
    }
}
