// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Whether a writer is well: any answer shows that the server is there again, but only a write shows that it is permitted. Without the
/// difference what was given up (its pod is gone) would make a writer that is forbidden everything look well every other time. Not safe for
/// several threads.
/// </summary>
/// <param name="failed">Called with each failure, and with null when all is well.</param>
internal sealed class WriterHealth(Action<ClusterException?> failed)
{
    private bool _isRefused;

    public void Failed(ClusterException failure)
    {
        _isRefused = failure.Kind is ClusterErrorKind.NotPermitted or ClusterErrorKind.Refused;
        failed(failure);
    }

    /// <summary>The server did what it was asked to.</summary>
    public void Written()
    {
        _isRefused = false;
        failed(null);
    }

    /// <summary>The server answered, and there was nothing to write.</summary>
    public void Answered()
    {
        if (!_isRefused)
            failed(null);
    }
}
