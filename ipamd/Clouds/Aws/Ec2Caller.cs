// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Xml;
using Amazon.Runtime;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>The effect of repeating a call whose first answer was lost.</summary>
internal enum Idempotency
{
    /// <summary>No further effect: the call reads, sets a value, or has a client token.</summary>
    Safe,

    /// <summary>Another effect: more addresses assigned, or an address unassigned that was assigned again in between.</summary>
    Unsafe,
}

/// <summary>
/// Runs EC2 calls with a deadline for each attempt, a bounded number of attempts, and one exception type.
/// <para>The SDK would retry by itself: in its standard mode twice, after throttling, 5xx and lost connections alike, and up to ten times
/// more on a closed pooled connection, whatever the operation. After a lost answer that can assign twice the requested addresses. Both are
/// therefore disabled in the client, and this class decides. Failures before execution (no connection; clock skew, which the SDK corrects
/// from the answer) are retried. A lost or 5xx answer is retried only for <see cref="Idempotency.Safe"/> calls; otherwise the caller has to
/// describe the state first. Throttling is never retried but reported, because slowing down is the rate limiter's decision and a hidden
/// retry is one more call.</para>
/// </summary>
internal sealed class Ec2Caller(AwsCloudOptions options, TimeProvider time, Random random, Action<CloudAttempt> onAttempt)
{
    public async Task<T> CallAsync<T>(
        string operation,
        Idempotency idempotency,
        Func<CancellationToken, Task<T>> call,
        CancellationToken cancellationToken
    )
    {
        for (var attempt = 1; ; attempt++)
        {
            var started = time.GetTimestamp();
            using var deadline = new CancellationTokenSource(options.HttpTimeout, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
            CloudException failure;
            try
            {
                // WaitAsync, because parts of the SDK's credential chain do not observe the token.
                var result = await call(either.Token).WaitAsync(either.Token);
                onAttempt(new CloudAttempt(operation, "", (int)HttpStatusCode.OK, time.GetElapsedTime(started)));
                return result;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested && Describe(e) is { } details)
            {
                onAttempt(
                    new CloudAttempt(operation, details.Code, details.Status is { } status ? (int)status : 0, time.GetElapsedTime(started))
                );
                var kind = Ec2ErrorCodes.Classify(details.Code, details.Message, details.Status);
                failure = new CloudException(
                    kind,
                    operation,
                    details.Code,
                    details.Message + PermissionHint(kind, details.Code, operation),
                    details.RequestId,
                    e
                );
            }

            if (attempt >= options.MaxAttempts || !MayRepeat(idempotency, failure))
                throw failure;
            await Task.Delay(options.Backoff.Pause(attempt, random), time, cancellationToken);
        }
    }

    private static bool MayRepeat(Idempotency idempotency, CloudException failure) =>
        failure.Kind == CloudErrorKind.Transient
        && idempotency switch
        {
            Idempotency.Safe => true,
            Idempotency.Unsafe => Ec2ErrorCodes.WasNotExecuted(failure.Code),
            _ => throw new ArgumentOutOfRangeException(nameof(idempotency), idempotency, "unknown kind of call"),
        };

    /// <summary>Details of a failed call; null for a defect of this program.</summary>
    private Details? Describe(Exception exception) =>
        exception switch
        {
            AmazonUnmarshallingException e => new(
                Ec2ErrorCodes.UnreadableAnswer,
                e.InnerException?.Message ?? e.Message,
                e.RequestId,
                e.StatusCode
            ),
            XmlException or FormatException => new(Ec2ErrorCodes.UnreadableAnswer, exception.Message, null, HttpStatusCode.OK),

            // The SDK's credential providers throw service exceptions that no service sent.
            AmazonServiceException e when (int)e.StatusCode == 0 && string.IsNullOrEmpty(e.ErrorCode) => NoResponse(e) ?? NoCredentials(e),
            AmazonServiceException e => new(
                string.IsNullOrEmpty(e.ErrorCode) ? e.StatusCode.ToString() : e.ErrorCode,
                e.Message,
                e.RequestId,
                e.StatusCode
            ),
            AmazonClientException e => NoCredentials(e),
            OperationCanceledException or TimeoutException => new(
                Ec2ErrorCodes.NoAnswer,
                $"no answer within {options.HttpTimeout.TotalSeconds:0.###} s; check the node's route to the EC2 endpoint, its DNS "
                    + "and security groups",
                null,
                null
            ),
            _ => NoResponse(exception),
        };

    /// <summary>Names a missing permission as a policy names it.</summary>
    private static string PermissionHint(CloudErrorKind kind, string code, string operation) =>
        kind == CloudErrorKind.NotPermitted && Ec2ErrorCodes.IsMissingPermission(code)
            ? $"; allow ec2:{operation} in the policy of the daemon's role"
            : "";

    private static Details NoCredentials(Exception exception) =>
        new(
            Ec2ErrorCodes.CredentialsUnavailable,
            $"{exception.Message.ReplaceLineEndings(" ").TrimEnd(' ', '.')}; give the daemon a role (pod identity, web identity) or "
                + "the node an instance profile, and let it reach the instance metadata service",
            null,
            null
        );

    private static Details? NoResponse(Exception exception)
    {
        for (Exception? e = exception; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case HttpRequestException
                {
                    HttpRequestError: HttpRequestError.ConnectionError
                        or HttpRequestError.NameResolutionError
                        or HttpRequestError.SecureConnectionError
                        or HttpRequestError.ProxyTunnelError
                }:
                    return new(
                        Ec2ErrorCodes.NoConnection,
                        $"{e.Message}; check the node's route to the EC2 endpoint and its DNS",
                        null,
                        null
                    );
                case HttpRequestException or IOException or SocketException:
                    return new(Ec2ErrorCodes.NoAnswer, e.Message, null, null);
            }
        }

        return null;
    }

    /// <summary>
    /// The cloud's texts, truncated at the source: codes become labels of metrics, and messages go into logs, replies and status.
    /// </summary>
    private sealed record Details
    {
        public Details(string code, string message, string? requestId, HttpStatusCode? status) =>
            (Code, Message, RequestId, Status) = (Truncate.Of(code, Truncate.LongestWord), Truncate.Of(message), requestId, status);

        public string Code { get; }
        public string Message { get; }
        public string? RequestId { get; }
        public HttpStatusCode? Status { get; }
    }
}
