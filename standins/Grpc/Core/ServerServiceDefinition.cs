// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Core;

/// <summary>The methods of a service bound to one implementation, as generated code builds it.</summary>
public class ServerServiceDefinition
{
    private readonly IReadOnlyList<Action<ServiceBinderBase>> _methods;

    private ServerServiceDefinition(IReadOnlyList<Action<ServiceBinderBase>> methods) => _methods = methods;

    public static Builder CreateBuilder() => new();

    internal void BindService(ServiceBinderBase serviceBinder)
    {
        foreach (var add in _methods) add(serviceBinder);
    }

    /// <summary>Collects methods; a name can be added once.</summary>
    public class Builder
    {
        private readonly HashSet<string> _names = new(StringComparer.Ordinal);
        private readonly List<Action<ServiceBinderBase>> _methods = [];

        public Builder AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse> handler)
            where TRequest : class
            where TResponse : class
        {
            ArgumentNullException.ThrowIfNull(method);
            if (!_names.Add(method.FullName)) throw new ArgumentException($"The method {method.FullName} was added twice.", nameof(method));
            _methods.Add(binder => binder.AddMethod(method, handler));
            return this;
        }

        public ServerServiceDefinition Build() => new([.. _methods]);
    }
}
