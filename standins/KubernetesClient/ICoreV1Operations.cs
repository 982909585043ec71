// SPDX-License-Identifier: Apache-2.0
using k8s.Internal;

namespace k8s;

/// <summary>Operations of the group <c>v1</c>; see <see cref="CoreV1OperationsExtensions"/>.</summary>
public interface ICoreV1Operations
{
    internal ApiClient Api { get; }
}

/// <summary>Operations on custom resources; see <see cref="CustomObjectsOperationsExtensions"/>.</summary>
public interface ICustomObjectsOperations
{
    internal ApiClient Api { get; }
}
