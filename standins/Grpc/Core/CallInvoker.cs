// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core;

/// <summary>How a generated client makes its calls; the unary part.</summary>
public abstract class CallInvoker
{
    /// <summary>Calls and waits. Throws <see cref="RpcException"/> for every status but OK.</summary>
    public abstract TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        where TRequest : class
        where TResponse : class;

    /// <summary>Starts a call. Failures are reported by the tasks of the result.</summary>
    public abstract AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        where TRequest : class
        where TResponse : class;
}
