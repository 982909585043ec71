// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>The registered service, or a new instance that lives for one call.</summary>
internal sealed class ServiceActivator<[DynamicallyAccessedMembers(ServiceMembers.Accessed)] TService>
    where TService : class
{
    private ObjectFactory<TService>? _factory;

    /// <param name="services">The services of the request.</param>
    /// <param name="owned">Whether the caller has to dispose the instance.</param>
    public TService Create(IServiceProvider services, out bool owned)
    {
        var registered = services.GetService<TService>();
        owned = registered is null;
        return registered ?? (_factory ??= ActivatorUtilities.CreateFactory<TService>([]))(services, []);
    }
}
