// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Datapath;
using VpcCni.Shim.Interop;

namespace VpcCni.Shim.Ipamd;

/// <summary>Turns the daemon's gRPC statuses into CNI errors, with the daemon's text in the message or in the details.</summary>
internal static class IpamdErrors
{
    /// <summary>Maximum length of the daemon's text in a message; the rest is in the details.</summary>
    private const int LongestSentence = 300;
    private const int LongestDetail = 1000;

    /// <summary>
    /// Converts a failure. The message is one sentence with the cause and what to do; the details add the call, its status, and the rest of
    /// a long text.
    /// </summary>
    public static CniException ToCni(RpcException exception, string call, string socketPath, TimeSpan timeout)
    {
        var detail = exception.Status.Detail;
        var said = Excerpt(detail, LongestSentence);
        var isDown = exception.Status.DebugException is not null;
        var (code, message) = exception.StatusCode switch
        {
            StatusCode.ResourceExhausted => (CniErrorCode.TryAgainLater, $"no address for the pod: {said}"),
            StatusCode.Unavailable when isDown => (
                CniErrorCode.TryAgainLater,
                $"ipamd does not answer on {socketPath}: is the aws-node daemon running on this node?"
            ),
            StatusCode.Unavailable => (CniErrorCode.TryAgainLater, $"ipamd cannot serve now: {said}"),
            StatusCode.DeadlineExceeded => (
                CniErrorCode.TryAgainLater,
                $"ipamd did not answer on {socketPath} within {timeout.TotalSeconds:0.###} s: look at its log, and at `ipamd status` "
                    + "on the node"
            ),
            // A daemon that shuts down cancels pending calls.
            StatusCode.Cancelled or StatusCode.Aborted => (CniErrorCode.TryAgainLater, $"ipamd gave the call up: {said}"),
            StatusCode.InvalidArgument => (CniErrorCode.InvalidConfiguration, $"ipamd rejects the request: {said}"),
            StatusCode.FailedPrecondition or StatusCode.Unimplemented or StatusCode.PermissionDenied or StatusCode.Unauthenticated => (
                CniErrorCode.IpamdFailed,
                $"ipamd refuses: {said}"
            ),
            _ => (CniErrorCode.IpamdFailed, $"ipamd failed: {said}"),
        };
        if (Trailer(exception, Contract.HintTrailer) is { } hint)
            message = $"{message}; {hint}";

        var reason = Trailer(exception, Contract.ReasonTrailer) is { } typed ? $", {typed}" : "";
        // The text is in the message, unless it was truncated or the message has its own.
        var evidence =
            detail.Length > 0 && !message.Contains(detail, StringComparison.Ordinal) ? Excerpt(detail, LongestDetail)
            : isDown && exception.Status.DebugException!.Message is var cause && !message.Contains(cause, StringComparison.Ordinal)
                ? Excerpt(cause, LongestDetail)
            : "";
        // Continues where the message was truncated.
        if (said.Length < detail.Length && message.Contains(said, StringComparison.Ordinal))
            evidence = $"...{evidence[(LongestSentence - Cut.Length)..]}";
        return new(code, message, $"{call}: {exception.StatusCode}{reason}{(evidence.Length > 0 ? $": {evidence}" : "")}", exception);
    }

    private const string Cut = "...";

    private static string Excerpt(string text, int longest) =>
        text.Length <= longest ? text : string.Concat(text.AsSpan(0, longest - Cut.Length), Cut);

    private static string? Trailer(RpcException exception, string name)
    {
        foreach (var entry in exception.Trailers)
            if (entry.Key == name && !entry.IsBinary && entry.Value.Length > 0)
                return Excerpt(entry.Value, LongestSentence);
        return null;
    }

    /// <summary>
    /// Whether the daemon cannot be reached or does not answer. False if it answered with an error, e.g. UNAVAILABLE because its checkpoint
    /// cannot be written. A failure of the transport is the status's debug exception.
    /// </summary>
    public static bool IsDown(RpcException exception) =>
        exception.StatusCode switch
        {
            StatusCode.DeadlineExceeded or StatusCode.Cancelled => true,
            StatusCode.Unavailable => exception.Status.DebugException is not null,
            _ => false,
        };

    /// <summary>
    /// As <see cref="IsDown"/>, but not because of the deadline: no process serves the socket, or the daemon stopped during the call.
    /// </summary>
    public static bool IsAway(RpcException exception) =>
        exception.StatusCode != StatusCode.DeadlineExceeded
        && IsDown(exception)
        && exception.Status.DebugException is not ConnectException { IsNobodyThere: false };

    public static bool IsUnknownAttachment(RpcException exception) =>
        exception.StatusCode == StatusCode.NotFound || exception.Status.Detail.Contains(Contract.UnknownPod, StringComparison.Ordinal);

    /// <summary>
    /// The daemon of aws-node talks to plugins of its own version only: FAILED_PRECONDITION <c>wrong client version "a" (!= "b")</c>. It
    /// compares the text, not the protocol, so the call is repeated with the version that it expects. Null for any other failure.
    /// </summary>
    public static string? ExpectedClientVersion(RpcException exception)
    {
        if (exception.StatusCode != StatusCode.FailedPrecondition)
            return null;
        var detail = exception.Status.Detail;
        if (!detail.Contains(Contract.WrongVersion, StringComparison.Ordinal))
            return null;
        var end = detail.LastIndexOf('"');
        var start = end > 0 ? detail.LastIndexOf('"', end - 1) : -1;
        return start < 0 ? null : detail[(start + 1)..end];
    }
}
