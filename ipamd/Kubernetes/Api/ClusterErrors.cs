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

/// <summary>The only place that knows what the client throws.</summary>
internal static class ClusterErrors
{
    /// <summary>
    /// The API server's words when it is asked for a version that it has not reached (k8s.io/apiserver, a 504). They are what tells it from
    /// other timeouts.
    /// </summary>
    private const string TooLargeVersion = "Too large resource version";

    /// <summary>
    /// Null for what is neither the server's failure nor the way's to it: a bug, or a cancellation that the caller asked for.
    /// </summary>
    public static ClusterException? From(string operation, Exception exception, CancellationToken cancellationToken)
    {
        ClusterException Failure(ClusterErrorKind kind, string message, TimeSpan? retryAfter = null) =>
            new(kind, operation, message, retryAfter, exception);
        return exception switch
        {
            HttpOperationException { Response: { } response } => Failure(
                KindOf((int)response.StatusCode, StatusOf(response)),
                Words(response),
                RetryAfter(response)
            ),
            KubernetesException { Status: { } status } => Failure(
                KindOf(status.Code ?? 0, status),
                Words(status),
                Seconds(status.Details?.RetryAfterSeconds)
            ),
            JsonException => Failure(
                ClusterErrorKind.Unreadable,
                $"the answer is not what the API server says: {Truncate.Of(exception.Message)}; check what listens at that address"
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

    private static ClusterErrorKind KindOf(int code, V1Status? said) =>
        code switch
        {
            (int)HttpStatusCode.GatewayTimeout when said?.Message?.Contains(TooLargeVersion, StringComparison.OrdinalIgnoreCase) == true =>
                ClusterErrorKind.Expired,
            (int)HttpStatusCode.Gone => ClusterErrorKind.Expired,
            (int)HttpStatusCode.NotFound => ClusterErrorKind.NotFound,
            (int)HttpStatusCode.Unauthorized or (int)HttpStatusCode.Forbidden => ClusterErrorKind.NotPermitted,
            (int)HttpStatusCode.TooManyRequests => ClusterErrorKind.Throttled,
            (int)HttpStatusCode.RequestTimeout or >= 500 or 0 => ClusterErrorKind.Unreachable,
            >= 300 and < 400 => ClusterErrorKind.Unreadable,
            _ => ClusterErrorKind.Refused,
        };

    private static string Words(HttpResponseMessageWrapper response)
    {
        var code = (int)response.StatusCode;
        return StatusOf(response) is { Message: { Length: > 0 } said }
            ? $"HTTP {code}: {Truncate.Of(said)}"
            : $"HTTP {code}: {Truncate.Of(response.Content ?? "")}";
    }

    private static string Words(V1Status status) =>
        $"{status.Code} {Truncate.Of(status.Reason, Truncate.LongestWord)}: {Truncate.Of(status.Message ?? "")}";

    /// <summary>A header in seconds (its other form, a date, the API server does not send), or the same in the body.</summary>
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
            // A proxy's page; its text is what there is to say.
            return null;
        }
    }
}
