// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core;

/// <summary>What a server method sees of its call besides the request.</summary>
public abstract class ServerCallContext
{
    /// <summary>"/service/method".</summary>
    public string Method => MethodCore;

    /// <summary>The authority that the client asked for.</summary>
    public string Host => HostCore;

    /// <summary>Address of the client: "ipv4:1.2.3.4:50", "ipv6:[::1]:50", or "unix:" with the server's path (a Unix client rarely has one).</summary>
    public string Peer => PeerCore;

    /// <summary>UTC; DateTime.MaxValue if the client set none.</summary>
    public DateTime Deadline => DeadlineCore;

    public Metadata RequestHeaders => RequestHeadersCore;

    /// <summary>Fires when the client cancels or goes away, and at the deadline.</summary>
    public CancellationToken CancellationToken => CancellationTokenCore;

    /// <summary>Sent after the response, with the status.</summary>
    public Metadata ResponseTrailers => ResponseTrailersCore;

    /// <summary>The status of a method that returns; a method that fails throws <see cref="RpcException"/> instead.</summary>
    public Status Status
    {
        get => StatusCore;
        set => StatusCore = value;
    }

    /// <summary>For interceptors and methods to hand things on.</summary>
    public IDictionary<object, object> UserState => UserStateCore;

    protected abstract string MethodCore { get; }

    protected abstract string HostCore { get; }

    protected abstract string PeerCore { get; }

    protected abstract DateTime DeadlineCore { get; }

    protected abstract Metadata RequestHeadersCore { get; }

    protected abstract CancellationToken CancellationTokenCore { get; }

    protected abstract Metadata ResponseTrailersCore { get; }

    protected abstract Status StatusCore { get; set; }

    protected virtual IDictionary<object, object> UserStateCore => throw new NotSupportedException("This context keeps no user state.");

    /// <summary>Sends the headers ahead of the response; at most once a call.</summary>
    public Task WriteResponseHeadersAsync(Metadata responseHeaders) => WriteResponseHeadersAsyncCore(responseHeaders);

    protected abstract Task WriteResponseHeadersAsyncCore(Metadata responseHeaders);
}
