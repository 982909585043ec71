// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace Grpc.Core;

/// <summary>On a generated service base: the type and the name of the static method that binds an implementation to a <see cref="ServiceBinderBase"/>.</summary>
[AttributeUsage(AttributeTargets.Class)]
public class BindServiceMethodAttribute : Attribute
{
    private const DynamicallyAccessedMemberTypes Accessed = DynamicallyAccessedMemberTypes.PublicMethods;

    public BindServiceMethodAttribute([DynamicallyAccessedMembers(Accessed)] Type bindType, string bindMethodName)
    {
        BindType = bindType;
        BindMethodName = bindMethodName;
    }

    [DynamicallyAccessedMembers(Accessed)]
    public Type BindType { get; }

    public string BindMethodName { get; }
}
