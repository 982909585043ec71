// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core;

/// <summary>Implementation of a unary method.</summary>
public delegate Task<TResponse> UnaryServerMethod<TRequest, TResponse>(TRequest request, ServerCallContext context)
    where TRequest : class
    where TResponse : class;
