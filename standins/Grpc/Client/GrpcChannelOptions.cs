// SPDX-License-Identifier: Apache-2.0
using Grpc.Core.Internal;

namespace Grpc.Net.Client;

/// <summary>How a channel connects and what it accepts.</summary>
public sealed class GrpcChannelOptions
{
    /// <summary>The HTTP stack. Null: a <see cref="SocketsHttpHandler"/> that the channel makes and owns. A Unix socket is reached with its ConnectCallback.</summary>
    public HttpMessageHandler? HttpHandler { get; set; }

    /// <summary>Whether disposing the channel disposes <see cref="HttpHandler"/> as well.</summary>
    public bool DisposeHttpClient { get; set; }

    /// <summary>Bytes; null = no limit. Default 4 MiB. A bigger response is RESOURCE_EXHAUSTED.</summary>
    public int? MaxReceiveMessageSize { get; set; } = MessageFrame.DefaultMaxReceiveMessageSize;

    /// <summary>Bytes; null = no limit, the default. A bigger request is RESOURCE_EXHAUSTED, and is not sent.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>Report cancellation and an expired deadline as OperationCanceledException (with the RpcException inside) instead of RpcException.</summary>
    public bool ThrowOperationCanceledOnCancellation { get; set; }
}
