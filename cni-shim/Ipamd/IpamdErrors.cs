// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;

namespace VpcCni.Shim.Ipamd;

/// <summary>The one place that turns the daemon's gRPC statuses into CNI errors. The daemon's own words are carried whole.</summary>
internal static class IpamdErrors
{
    /// <summary>The daemon of aws-node reports an attachment that it does not know by this text, with status UNKNOWN; ours does the same.</summary>
    private const string UnknownPod = "datastore: unknown pod";

    private const string WrongVersion = "wrong client version";

    public static CniException ToCni(RpcException exception, string call, string socketPath, TimeSpan timeout)
    {
        var detail = exception.Status.Detail;
        var details = $"{call}: {exception.StatusCode}: {detail}{(exception.Status.DebugException is { } cause ? $" ({cause.Message})" : "")}";
        return exception.StatusCode switch
        {
            StatusCode.ResourceExhausted => new(CniErrorCode.TryAgainLater, $"no address for the pod: {detail}", details, exception),
            StatusCode.Unavailable when exception.Status.DebugException is not null
                => new(CniErrorCode.TryAgainLater, $"ipamd does not answer on {socketPath}: is the aws-node daemon running on this node?", details, exception),
            StatusCode.Unavailable => new(CniErrorCode.TryAgainLater, $"ipamd is not ready: {detail}", details, exception),
            StatusCode.DeadlineExceeded => new(CniErrorCode.TryAgainLater, $"ipamd did not answer on {socketPath} within {timeout.TotalSeconds:0.###} s", details, exception),
            // A daemon that shuts down cancels what waits in it.
            StatusCode.Cancelled or StatusCode.Aborted => new(CniErrorCode.TryAgainLater, $"ipamd gave the call up: {detail}", details, exception),
            StatusCode.InvalidArgument => new(CniErrorCode.InvalidConfiguration, $"ipamd rejects the request: {detail}", details, exception),
            StatusCode.FailedPrecondition or StatusCode.Unimplemented or StatusCode.PermissionDenied or StatusCode.Unauthenticated
                => new(CniErrorCode.IpamdFailed, $"ipamd refuses: {detail}", details, exception),
            _ => new(CniErrorCode.IpamdFailed, $"ipamd failed: {detail}", details, exception),
        };
    }

    /// <summary>
    /// The daemon cannot be reached or does not answer, as opposed to: it answered that something is wrong, e.g. UNAVAILABLE because its checkpoint cannot be written. What broke the
    /// transport is the status's debug exception.
    /// </summary>
    public static bool IsDown(RpcException exception) => exception.StatusCode switch
    {
        StatusCode.DeadlineExceeded or StatusCode.Cancelled => true,
        StatusCode.Unavailable => exception.Status.DebugException is not null,
        _ => false,
    };

    public static bool IsUnknownAttachment(RpcException exception)
        => exception.StatusCode == StatusCode.NotFound || exception.Status.Detail.Contains(UnknownPod, StringComparison.Ordinal);

    /// <summary>
    /// The daemon of aws-node talks to plugins of its own version only: FAILED_PRECONDITION <c>wrong client version "a" (!= "b")</c>. It checks the text, not the protocol,
    /// so the call is repeated under the name that it wants to hear. Null for any other failure.
    /// </summary>
    public static string? ExpectedClientVersion(RpcException exception)
    {
        if (exception.StatusCode != StatusCode.FailedPrecondition) return null;
        var detail = exception.Status.Detail;
        if (!detail.Contains(WrongVersion, StringComparison.Ordinal)) return null;
        var end = detail.LastIndexOf('"');
        var start = end > 0 ? detail.LastIndexOf('"', end - 1) : -1;
        return start < 0 ? null : detail[(start + 1)..end];
    }
}
