// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;

namespace Grpc.Net.Client.Internal;

/// <summary>Makes unary calls over a channel.</summary>
internal sealed class HttpCallInvoker(GrpcChannel channel) : CallInvoker
{
    /// <param name="method">The method.</param>
    /// <param name="host">Ignored, as in the official client: the authority is the channel's.</param>
    /// <param name="options">The options.</param>
    /// <param name="request">The request.</param>
    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        using var call = AsyncUnaryCall(method, host, options, request);
        return call.GetAwaiter().GetResult();
    }

    /// <inheritdoc cref="BlockingUnaryCall"/>
    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        ObjectDisposedException.ThrowIf(channel.Disposed.IsCancellationRequested, channel);
        if (method.Type != MethodType.Unary) throw new NotSupportedException($"{method.FullName} is {method.Type}; this client makes unary calls only.");
        var call = new UnaryCall<TRequest, TResponse>(channel, method, options, new CallCancellation(options, channel));
        return call.Start(request);
    }
}
