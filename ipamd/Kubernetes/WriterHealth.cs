// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>
/// Decides when a writer has recovered. Any answer ends an outage, but only a successful write ends a rejection: a lookup that finds no pod
/// would otherwise report recovery for a writer that lacks permission. Not thread-safe.
/// </summary>
/// <param name="failed">Called with each failure, and with null on recovery.</param>
internal sealed class WriterHealth(Action<ClusterException?> failed)
{
    private bool _isRefused;

    public void Failed(ClusterException failure)
    {
        _isRefused = failure.Kind is ClusterErrorKind.NotPermitted or ClusterErrorKind.Refused;
        failed(failure);
    }

    /// <summary>Reports a successful write.</summary>
    public void Written()
    {
        _isRefused = false;
        failed(null);
    }

    /// <summary>Reports an answer without a write.</summary>
    public void Answered()
    {
        if (!_isRefused)
            failed(null);
    }
}
