// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Grpc.Net.Client.Internal;

namespace Grpc.Net.Client;

/// <summary>
/// A channel over HTTP/2: cleartext with prior knowledge for http addresses, TLS for https. Connects at the first call and keeps the connection. Safe for any number of
/// threads. Disposing it ends its running calls with CANCELLED.
/// </summary>
public sealed class GrpcChannel : ChannelBase, IDisposable
{
    private readonly CancellationTokenSource _disposed = new();
    private readonly HttpMessageInvoker _invoker;

    internal GrpcChannel(Uri address, GrpcChannelOptions options, TimeProvider time)
        : base(address.Authority)
    {
        Address = address;
        Time = time;
        MaxReceiveMessageSize = options.MaxReceiveMessageSize;
        MaxSendMessageSize = options.MaxSendMessageSize;
        ThrowOperationCanceled = options.ThrowOperationCanceledOnCancellation;
        Disposed = _disposed.Token;
        _invoker = options.HttpHandler is { } given
            ? new HttpMessageInvoker(given, options.DisposeHttpClient)
            : new HttpMessageInvoker(new SocketsHttpHandler { EnableMultipleHttp2Connections = true, UseProxy = false }, disposeHandler: true);
    }

    internal Uri Address { get; }

    internal TimeProvider Time { get; }

    internal int? MaxReceiveMessageSize { get; }

    internal int? MaxSendMessageSize { get; }

    internal bool ThrowOperationCanceled { get; }

    internal CancellationToken Disposed { get; }

    internal HttpMessageInvoker Invoker => _invoker;

    public static GrpcChannel ForAddress(string address) => ForAddress(address, new GrpcChannelOptions());

    public static GrpcChannel ForAddress(string address, GrpcChannelOptions channelOptions) => ForAddress(new Uri(address), channelOptions);

    public static GrpcChannel ForAddress(Uri address) => ForAddress(address, new GrpcChannelOptions());

    /// <summary>Only scheme and authority of <paramref name="address"/> count. Throws ArgumentException for a scheme other than http and https.</summary>
    public static GrpcChannel ForAddress(Uri address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(channelOptions);
        if (!address.IsAbsoluteUri || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
            throw new ArgumentException($"'{address}' is not a channel address: expected http://host[:port] or https://host[:port].", nameof(address));
        return new GrpcChannel(address, channelOptions, TimeProvider.System);
    }

    public override CallInvoker CreateCallInvoker() => new HttpCallInvoker(this);

    public void Dispose()
    {
        if (Disposed.IsCancellationRequested) return;
        _disposed.Cancel();
        _invoker.Dispose();
        _disposed.Dispose();
    }

    protected override Task ShutdownAsyncCore()
    {
        Dispose();
        return Task.CompletedTask;
    }
}
