// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using Grpc.AspNetCore.Server.Internal;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Maps services to endpoints.</summary>
public static class GrpcEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Serves <typeparamref name="TService"/>, which derives from a generated base. A call is made on the instance that the container has registered for it, or else on
    /// a new one whose constructor arguments come from the container.
    /// </summary>
    public static GrpcServiceEndpointConventionBuilder MapGrpcService<[DynamicallyAccessedMembers(ServiceMembers.Accessed)] TService>(this IEndpointRouteBuilder builder)
        where TService : class
    {
        ArgumentNullException.ThrowIfNull(builder);
        var registry = builder.ServiceProvider.GetService<ServiceRegistry>()
            ?? throw new InvalidOperationException("gRPC is not registered. Call services.AddGrpc() before MapGrpcService.");
        return new GrpcServiceEndpointConventionBuilder(registry.Map<TService>(builder));
    }
}
