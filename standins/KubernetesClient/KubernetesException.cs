// SPDX-License-Identifier: Apache-2.0
using k8s.Models;

namespace k8s;

/// <summary>The server reported a failure in the midst of a watch; most often 410 Gone, after which a new list is needed.</summary>
public class KubernetesException : Exception
{
    public KubernetesException()
    {
    }

    public KubernetesException(string message)
        : base(message)
    {
    }

    public KubernetesException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public KubernetesException(V1Status status)
        : base(status?.Message) => Status = status;

    /// <summary>What the server said.</summary>
    public V1Status? Status { get; }
}
