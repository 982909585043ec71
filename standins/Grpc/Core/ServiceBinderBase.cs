// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core;

/// <summary>Receives the methods of a service from its generated BindService method.</summary>
public abstract class ServiceBinderBase
{
    /// <param name="method">The method.</param>
    /// <param name="handler">Null when BindService was called without an implementation, to learn the methods only.</param>
    public virtual void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
        where TRequest : class
        where TResponse : class
        => throw new NotSupportedException($"{GetType()} does not bind unary methods: {method.FullName}.");
}
