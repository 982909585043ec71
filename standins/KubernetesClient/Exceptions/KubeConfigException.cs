// SPDX-License-Identifier: Apache-2.0
namespace k8s.Exceptions;

/// <summary>The configuration is not there or cannot be used.</summary>
public class KubeConfigException : Exception
{
    public KubeConfigException()
    {
    }

    public KubeConfigException(string message)
        : base(message)
    {
    }

    public KubeConfigException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
