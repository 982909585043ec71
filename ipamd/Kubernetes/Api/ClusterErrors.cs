// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using k8s;
using k8s.Autorest;
using k8s.Exceptions;
using k8s.Models;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>Maps exceptions of the client to <see cref="ClusterException"/>; no other code handles them.</summary>
internal static class ClusterErrors
{
    /// <summary>
    /// Text of the API server's 504 for a version that it has not reached (k8s.io/apiserver); distinguishes it from other timeouts.
    /// </summary>
    private const string TooLargeVersion = "Too large resource version";

    /// <summary>Returns null for anything but a failure of the server or the connection: a defect, or the caller's cancellation.</summary>
    public static ClusterException? From(string operation, Exception exception, CancellationToken cancellationToken)
    {
        ClusterException Failure(ClusterErrorKind kind, string message, TimeSpan? retryAfter = null) =>
            new(kind, operation, message, retryAfter, exception);
        return exception switch
        {
            HttpOperationException { Response: { } response } => Failure(
                KindOf((int)response.StatusCode, StatusOf(response)),
                DescriptionOf(response),
                RetryAfter(response)
            ),
            KubernetesException { Status: { } status } => Failure(
                KindOf(status.Code ?? 0, status),
                DescriptionOf(status),
                Seconds(status.Details?.RetryAfterSeconds)
            ),
            JsonException => Failure(
                ClusterErrorKind.Unreadable,
                $"the response is not one of an API server: {Truncate.Of(exception.Message)}; check what listens at that address"
            ),
            HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => Failure(
                ClusterErrorKind.Unreadable,
                Truncate.Of(exception.Message)
            ),
            HttpRequestException
            or IOException
            or AuthenticationException
            or InvalidDataException
            or UnauthorizedAccessException
            or CryptographicException
            or KubeConfigException
            or ObjectDisposedException => Failure(
                ClusterErrorKind.Unreachable,
                Truncate.Of(exception.InnerException is { } inner ? $"{exception.Message} ({inner.Message})" : exception.Message)
            ),
            OperationCanceledException when !cancellationToken.IsCancellationRequested => Failure(
                ClusterErrorKind.Unreachable,
                "no answer in time"
            ),
            _ => null,
        };
    }

    private static ClusterErrorKind KindOf(int code, V1Status? status) =>
        code switch
        {
            (int)HttpStatusCode.GatewayTimeout
                when status?.Message?.Contains(TooLargeVersion, StringComparison.OrdinalIgnoreCase) == true => ClusterErrorKind.Expired,
            (int)HttpStatusCode.Gone => ClusterErrorKind.Expired,
            (int)HttpStatusCode.NotFound => ClusterErrorKind.NotFound,
            (int)HttpStatusCode.Unauthorized or (int)HttpStatusCode.Forbidden => ClusterErrorKind.NotPermitted,
            (int)HttpStatusCode.TooManyRequests => ClusterErrorKind.Throttled,
            (int)HttpStatusCode.RequestTimeout or >= 500 or 0 => ClusterErrorKind.Unreachable,
            >= 300 and < 400 => ClusterErrorKind.Unreadable,
            _ => ClusterErrorKind.Refused,
        };

    private static string DescriptionOf(HttpResponseMessageWrapper response)
    {
        var code = (int)response.StatusCode;
        return StatusOf(response) is { Message: { Length: > 0 } message }
            ? $"HTTP {code}: {Truncate.Of(message)}"
            : $"HTTP {code}: {Truncate.Of(response.Content ?? "")}";
    }

    private static string DescriptionOf(V1Status status) =>
        $"{status.Code} {Truncate.Of(status.Reason, Truncate.LongestWord)}: {Truncate.Of(status.Message ?? "")}";

    /// <summary>
    /// Returns Retry-After from the header, or else from the body. The API server sends the header in seconds, never as a date.
    /// </summary>
    private static TimeSpan? RetryAfter(HttpResponseMessageWrapper response) =>
        response.Headers.TryGetValue("Retry-After", out var values)
        && int.TryParse(values.FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            ? Seconds(seconds)
            : Seconds(StatusOf(response)?.Details?.RetryAfterSeconds);

    private static TimeSpan? Seconds(int? seconds) => seconds > 0 ? TimeSpan.FromSeconds(seconds.Value) : null;

    private static V1Status? StatusOf(HttpResponseMessageWrapper response)
    {
        try
        {
            return response.Content is { Length: > 0 } content ? ApiServerJson.Read<V1Status>(Encoding.UTF8.GetBytes(content)) : null;
        }
        catch (JsonException)
        {
            // A proxy's error page; its text serves as the message.
            return null;
        }
    }
}
