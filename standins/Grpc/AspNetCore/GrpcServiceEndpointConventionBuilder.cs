// SPDX-License-Identifier: Apache-2.0
namespace Microsoft.AspNetCore.Builder;

/// <summary>Applies conventions (filters, host names, metadata) to every method of a mapped service.</summary>
public sealed class GrpcServiceEndpointConventionBuilder : IEndpointConventionBuilder
{
    private readonly IReadOnlyList<IEndpointConventionBuilder> _methods;

    internal GrpcServiceEndpointConventionBuilder(IReadOnlyList<IEndpointConventionBuilder> methods) => _methods = methods;

    public void Add(Action<EndpointBuilder> convention)
    {
        foreach (var method in _methods) method.Add(convention);
    }
}
