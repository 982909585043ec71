// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using VpcCni.Protos.Rpc;
using VpcCni.Protos.V1;

namespace VpcCni.Shim.Tests;

/// <summary>
/// An in-memory daemon behind a real gRPC server on a real Unix socket. Assigns and releases addresses by attachment, idempotently; faults
/// can be injected.
/// </summary>
internal sealed class FakeIpamd : IAsyncDisposable
{
    private readonly WebApplication _server;
    private readonly string _folder;

    private FakeIpamd(WebApplication server, string folder, string socketPath, FakeIpamdState state)
    {
        _server = server;
        _folder = folder;
        SocketPath = socketPath;
        State = state;
    }

    public FakeIpamdState State { get; }

    public string SocketPath { get; }

    public static async Task<FakeIpamd> StartAsync(Action<FakeIpamdState>? configure = null, string? socketPath = null)
    {
        var folder = Directory.CreateTempSubdirectory("fake-ipamd-").FullName;
        var state = new FakeIpamdState();
        configure?.Invoke(state);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.ListenUnixSocket(socketPath ??= Path.Combine(folder, "ipamd.sock"), listen => listen.Protocols = HttpProtocols.Http2)
        );
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(state);
        builder.Services.AddSingleton<FakeCniBackend>();
        builder.Services.AddSingleton<FakeNodeIpam>();
        var server = builder.Build();
        server.MapGrpcService<FakeCniBackend>();
        if (state.ServesNodeIpam)
            server.MapGrpcService<FakeNodeIpam>();
        await server.StartAsync();
        return new FakeIpamd(server, folder, socketPath!, state);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>The attachments of the fake, the requests it received, and its behaviour.</summary>
internal sealed class FakeIpamdState
{
    private int _next;

    public ConcurrentDictionary<string, IPAllocationMetadata> Attachments { get; } = new(StringComparer.Ordinal);

    /// <summary>Namespace of the first ADD of each attachment.</summary>
    public ConcurrentDictionary<string, string> Namespaces { get; } = new(StringComparer.Ordinal);
    public ConcurrentQueue<AddNetworkRequest> Adds { get; } = new();
    public ConcurrentQueue<DelNetworkRequest> Dels { get; } = new();
    public ConcurrentQueue<CollectGarbageRequest> Collections { get; } = new();

    /// <summary>False: serves only rpc.CNIBackend, as aws-node does.</summary>
    public bool ServesNodeIpam { get; set; } = true;

    /// <summary>True: offers to delete the links of deleted pods.</summary>
    public bool DeletesLinks { get; set; }

    /// <summary>Returns the addresses of the n-th attachment, counted from 0.</summary>
    public Func<int, IPAllocationMetadata> Allocate { get; set; } =
        static n => new IPAllocationMetadata
        {
            IPv4Addr = $"10.250.{n / 200}.{(n % 200) + 10}",
            DeviceNumber = 0,
            RouteTableId = 254,
        };

    /// <summary>Allocations of further interfaces, which every attachment has.</summary>
    public IReadOnlyList<IPAllocationMetadata> More { get; set; } = [];

    /// <summary>Runs before the reply to AddNetwork; fails it by throwing.</summary>
    public Func<AddNetworkRequest, ServerCallContext, Task> OnAdd { get; set; } = static (_, _) => Task.CompletedTask;

    /// <inheritdoc cref="OnAdd"/>
    public Func<DelNetworkRequest, ServerCallContext, Task> OnDel { get; set; } = static (_, _) => Task.CompletedTask;

    /// <summary>Modifies a reply before it is sent.</summary>
    public Action<AddNetworkReply> ModifyReply { get; set; } = static _ => { };

    public GetStatusReply Status { get; set; } = new() { Ready = true, Phase = "serving" };

    public IPAllocationMetadata Reserve(string key) => Attachments.GetOrAdd(key, _ => Allocate(Interlocked.Increment(ref _next) - 1));

    public static string Key(string network, string container, string link) => $"{network}/{container}/{link}";
}

internal sealed class FakeCniBackend(FakeIpamdState state) : CNIBackend.CNIBackendBase
{
    public override async Task<AddNetworkReply> AddNetwork(AddNetworkRequest request, ServerCallContext context)
    {
        state.Adds.Enqueue(request);
        await state.OnAdd(request, context);
        var key = FakeIpamdState.Key(request.NetworkName, request.ContainerID, request.IfName);
        var reply = new AddNetworkReply { Success = true };
        reply.IPAllocationMetadata.Add(state.Reserve(key));
        reply.IPAllocationMetadata.AddRange(state.More);
        if (state.Namespaces.GetOrAdd(key, request.Netns) != request.Netns && state.ServesNodeIpam)
            context.ResponseTrailers.Add("vpccni-other-namespace", "1");
        state.ModifyReply(reply);
        return reply;
    }

    public override async Task<DelNetworkReply> DelNetwork(DelNetworkRequest request, ServerCallContext context)
    {
        state.Dels.Enqueue(request);
        await state.OnDel(request, context);
        var key = FakeIpamdState.Key(request.NetworkName, request.ContainerID, request.IfName);
        state.Namespaces.TryRemove(key, out _);
        if (!state.Attachments.TryRemove(key, out var allocation))
            throw new RpcException(new Status(StatusCode.Unknown, "datastore: unknown pod"));
        if (state.DeletesLinks)
            context.ResponseTrailers.Add("vpccni-deletes-links", "1");
        var reply = new DelNetworkReply { Success = true };
        reply.IPAllocationMetadata.Add(allocation);
        reply.IPAllocationMetadata.AddRange(state.More);
        return reply;
    }
}

internal sealed class FakeNodeIpam(FakeIpamdState state) : NodeIpam.NodeIpamBase
{
    public override Task<CheckAttachmentReply> CheckAttachment(CheckAttachmentRequest request, ServerCallContext context)
    {
        var key = request.Attachment;
        var name = FakeIpamdState.Key(key.NetworkName, key.ContainerId, key.InterfaceName);
        if (!state.Attachments.TryGetValue(name, out var allocation))
            throw new RpcException(new Status(StatusCode.NotFound, "unknown attachment"));
        var attachment = new Attachment
        {
            Key = key,
            RouteTable = (uint)allocation.RouteTableId,
            NetnsPath = state.Namespaces.GetValueOrDefault(name, ""),
        };
        attachment.Addresses.AddRange(new[] { allocation.IPv4Addr, allocation.IPv6Addr }.Where(address => address.Length > 0));
        return Task.FromResult(new CheckAttachmentReply { Attachment = attachment });
    }

    public override Task<CollectGarbageReply> CollectGarbage(CollectGarbageRequest request, ServerCallContext context)
    {
        state.Collections.Enqueue(request);
        return Task.FromResult(new CollectGarbageReply());
    }

    public override Task<GetStatusReply> GetStatus(GetStatusRequest request, ServerCallContext context) => Task.FromResult(state.Status);
}
