// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Grpc.Core;
using Grpc.Core.Internal;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>Turns services into endpoints, and answers UNIMPLEMENTED for the paths that no service has.</summary>
internal sealed class ServiceRegistry(IOptions<GrpcServiceOptions> options, ILoggerFactory loggers)
{
    /// <summary>After every endpoint of the application that could also match.</summary>
    private const int FallbackOrder = int.MaxValue;

    private readonly CallEnvironment _environment = new(options.Value, TimeProvider.System, loggers.CreateLogger("Grpc.AspNetCore.Server.ServerCallHandler"));
    private readonly HashSet<EndpointDataSource> _withFallback = [];

    public IReadOnlyList<IEndpointConventionBuilder> Map<[DynamicallyAccessedMembers(ServiceMembers.Accessed)] TService>(IEndpointRouteBuilder builder)
        where TService : class
    {
        var binder = new EndpointBinder<TService>(builder, _environment);
        Bind<TService>(binder);
        if (_environment.Options.IgnoreUnknownServices is not true) MapFallback(builder);
        return binder.Endpoints;
    }

    /// <summary>The generated base carries the attribute; attributes of a base are not those of its subclasses, hence the walk.</summary>
    private static void Bind<TService>(ServiceBinderBase binder)
    {
        for (var type = typeof(TService); type is not null; type = type.BaseType)
        {
            if (type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: false) is not { } attribute) continue;
            var bind = attribute.BindType.GetMethod(attribute.BindMethodName, BindingFlags.Public | BindingFlags.Static, [typeof(ServiceBinderBase), type])
                ?? throw new InvalidOperationException($"{attribute.BindType} has no public static method {attribute.BindMethodName}(ServiceBinderBase, {type}), although its attribute says so.");
            bind.Invoke(null, [binder, null]);
            return;
        }

        throw new InvalidOperationException($"{typeof(TService)} is not a gRPC service: it does not derive from a base that Grpc.Tools generated.");
    }

    /// <summary>Once for each place where services are mapped.</summary>
    private void MapFallback(IEndpointRouteBuilder builder)
    {
        if (builder.DataSources.Any(_withFallback.Contains)) return;
        var policies = new RouteValueDictionary { ["service"] = new GrpcContentTypeConstraint() };
        var pattern = RoutePatternFactory.Parse("{service}/{method}", defaults: null, parameterPolicies: policies);
        builder.Map(pattern, Unimplemented).WithDisplayName("gRPC - unimplemented").Add(endpoint => ((RouteEndpointBuilder)endpoint).Order = FallbackOrder);
        foreach (var source in builder.DataSources) _withFallback.Add(source);
    }

    private static Task Unimplemented(HttpContext context)
    {
        if (CallProtocol.Refuse(context)) return Task.CompletedTask;
        CallProtocol.StartResponse(context.Response);
        CallProtocol.WriteStatus(context.Response, new Status(StatusCode.Unimplemented, $"No service here has the method {context.Request.Path.Value}."), Metadata.Empty);
        return Task.CompletedTask;
    }

    /// <summary>Other requests fall through to the rest of the application.</summary>
    private sealed class GrpcContentTypeConstraint : IRouteConstraint
    {
        public bool Match(HttpContext? httpContext, IRouter? route, string routeKey, RouteValueDictionary values, RouteDirection routeDirection)
            => httpContext is not null && HttpMethods.IsPost(httpContext.Request.Method) && WireNames.IsGrpcContentType(httpContext.Request.ContentType);
    }
}
