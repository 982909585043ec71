// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>A unary method as a call on an instance that is chosen for each call.</summary>
internal delegate Task<TResponse> ServiceMethod<TService, TRequest, TResponse>(TService service, TRequest request, ServerCallContext context);

/// <summary>Receives a service's methods from its generated BindService and maps each to /service/method.</summary>
internal sealed class EndpointBinder<[DynamicallyAccessedMembers(ServiceMembers.Accessed)] TService>(IEndpointRouteBuilder builder, CallEnvironment environment) : ServiceBinderBase
    where TService : class
{
    private readonly List<IEndpointConventionBuilder> _endpoints = [];
    private readonly ServiceActivator<TService> _activator = new();

    public IReadOnlyList<IEndpointConventionBuilder> Endpoints => _endpoints;

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler)
    {
        var implementation = typeof(TService).GetMethod(method.Name, BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance, [typeof(TRequest), typeof(ServerCallContext)])
            ?? throw new InvalidOperationException($"{typeof(TService)} has no method {method.Name}({typeof(TRequest)}, ServerCallContext), which the service {method.ServiceName} needs.");
        var call = implementation.CreateDelegate<ServiceMethod<TService, TRequest, TResponse>>();
        var unary = new UnaryCallHandler<TService, TRequest, TResponse>(method, call, _activator, environment);
        var endpoint = builder.Map(RoutePatternFactory.Parse(method.FullName), unary.HandleAsync);
        endpoint.WithDisplayName($"gRPC - {method.FullName}");
        endpoint.WithMetadata(method);
        _endpoints.Add(endpoint);
    }
}
