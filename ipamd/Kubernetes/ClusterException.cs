// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;

namespace VpcCni.Ipamd.Kubernetes;

/// <summary>What a failure of the API server means to its caller.</summary>
internal enum ClusterErrorKind
{
    /// <summary>No answer, or one that only says that the server cannot now.</summary>
    Unreachable,

    /// <summary>An answer that is not what the API says: something else listens there, or stands between.</summary>
    Unreadable,

    /// <summary>
    /// The server cannot go on from the version it was given: it has forgotten it, or has none as new (its state was restored). List again,
    /// without a bound.
    /// </summary>
    Expired,

    NotFound,

    /// <summary>The service account lacks a permission, or its token is not accepted.</summary>
    NotPermitted,

    Throttled,

    /// <summary>Refused as it stands; the same again will be refused again.</summary>
    Refused,
}

/// <summary>The boundary's one exception.</summary>
/// <param name="kind">What it means.</param>
/// <param name="operation">What was asked, in words.</param>
/// <param name="message">What came back.</param>
/// <param name="retryAfter">The server's wish.</param>
/// <param name="innerException">The evidence.</param>
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

    /// <summary>The API server gives none.</summary>
    public string? RequestId => null;

    public string Operation { get; } = Truncate.Of(operation);

    public TimeSpan? RetryAfter { get; } = retryAfter;

    public override string ToString() => Truncate.Of(this, Message);
}
