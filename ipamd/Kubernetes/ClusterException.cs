// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>How a caller should treat a failure of the API server.</summary>
internal enum ClusterErrorKind
{
    /// <summary>No answer, or one that says that the server is unavailable.</summary>
    Unreachable,

    /// <summary>An answer outside the API's format, from another program or a proxy.</summary>
    Unreadable,

    /// <summary>
    /// The server cannot continue from the given version: the version is too old, or is from before the server's state was restored. List
    /// again, without a lower bound.
    /// </summary>
    Expired,

    NotFound,

    /// <summary>The service account lacks a permission, or the server rejects its token.</summary>
    NotPermitted,

    Throttled,

    /// <summary>The server rejects the request; a retry would fail again.</summary>
    Refused,
}

/// <summary>The only exception of the API server's port.</summary>
/// <param name="kind">How to treat it.</param>
/// <param name="operation">The attempted operation, in words.</param>
/// <param name="message">What went wrong; truncated.</param>
/// <param name="retryAfter">Retry-After of the server.</param>
/// <param name="innerException">The cause.</param>
internal sealed class ClusterException(
    ClusterErrorKind kind,
    string operation,
    string message,
    TimeSpan? retryAfter = null,
    Exception? innerException = null
) : Exception($"{Truncate.Of(operation)}: {Truncate.Of(message, Truncate.LongestMessage)}", innerException), IExpectedFailure
{
    public ClusterErrorKind Kind { get; } = kind;

    string IExpectedFailure.FailureKind => Kind.ToString();

    /// <summary>Null: the API server has no request ids.</summary>
    public string? RequestId => null;

    public string Operation { get; } = Truncate.Of(operation);

    public TimeSpan? RetryAfter { get; } = retryAfter;

    public override string ToString() => Truncate.Of(this, Message);
}
