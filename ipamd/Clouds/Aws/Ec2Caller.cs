// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Xml;
using Amazon.Runtime;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>What repeating a call would do when the answer to the first one was lost.</summary>
internal enum Idempotency
{
    /// <summary>Nothing more: it reads, or sets something to a value, or carries a client token.</summary>
    Safe,

    /// <summary>Something else: more addresses assigned, or an address taken that was given out again in between.</summary>
    Unsafe,
}

/// <summary>
/// One attempt of one EC2 call, for metrics. <paramref name="Code"/> is empty on success; <paramref name="Status"/> 0 without an answer.
/// </summary>
internal readonly record struct Ec2Attempt(string Operation, string Code, int Status, TimeSpan Duration);

/// <summary>
/// Runs EC2 calls: a deadline for each attempt, a bounded number of attempts, and one exception type.
///
/// The SDK would retry by itself: in its standard mode twice, after throttling, 5xx and lost connections alike, and up to ten times more on
/// a pooled connection that turned out to be closed, whatever the operation. After a lost answer that can assign twice the addresses asked
/// for. So the client is made with both turned off and the rule is here: a failure before anything was executed (no connection, clock skew,
/// which the SDK corrects from the answer) is repeated; a lost or 5xx answer is repeated only where that is harmless, otherwise the caller
/// has to look first; throttling is never repeated but reported, because slowing down is the budget's decision and a hidden retry is a call
/// more.
/// </summary>
internal sealed class Ec2Caller(AwsCloudOptions options, TimeProvider time, Random random, Action<Ec2Attempt>? onAttempt)
{
    public async Task<T> CallAsync<T>(
        string operation,
        Idempotency repeat,
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
                // WaitAsync: parts of the SDK's credential chain do not observe the token.
                var result = await call(either.Token).WaitAsync(either.Token);
                onAttempt?.Invoke(new Ec2Attempt(operation, "", (int)HttpStatusCode.OK, time.GetElapsedTime(started)));
                return result;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested && Describe(e) is { } evidence)
            {
                onAttempt?.Invoke(
                    new Ec2Attempt(operation, evidence.Code, evidence.Status is { } status ? (int)status : 0, time.GetElapsedTime(started))
                );
                var kind = Ec2ErrorCodes.Classify(evidence.Code, evidence.Message, evidence.Status);
                failure = new CloudException(
                    kind,
                    operation,
                    evidence.Code,
                    evidence.Message + Advice(kind, evidence.Code, operation),
                    evidence.RequestId,
                    e
                );
            }

            if (attempt >= options.MaxAttempts || !MayRepeat(repeat, failure))
                throw failure;
            await Task.Delay(Backoff.FullJitter(options.BackoffBase, options.BackoffCap, attempt, random), time, cancellationToken);
        }
    }

    private static bool MayRepeat(Idempotency repeat, CloudException failure) =>
        failure.Kind == CloudErrorKind.Transient
        && repeat switch
        {
            Idempotency.Safe => true,
            Idempotency.Unsafe => Ec2ErrorCodes.WasNotExecuted(failure.Code),
            _ => throw new ArgumentOutOfRangeException(nameof(repeat), repeat, "unknown kind of call"),
        };

    /// <summary>Null for what is not a failure of the call but a defect of ours.</summary>
    private Evidence? Describe(Exception exception) =>
        exception switch
        {
            AmazonUnmarshallingException e => new(
                Ec2ErrorCodes.UnreadableAnswer,
                e.InnerException?.Message ?? e.Message,
                e.RequestId,
                e.StatusCode
            ),
            XmlException or FormatException => new(Ec2ErrorCodes.UnreadableAnswer, exception.Message, null, HttpStatusCode.OK),

            // The SDK's credential providers throw a service exception that no service answered.
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

    /// <summary>What a role lacks is named as a policy names it.</summary>
    private static string Advice(CloudErrorKind kind, string code, string operation) =>
        kind == CloudErrorKind.NotPermitted && Ec2ErrorCodes.IsMissingPermission(code)
            ? $"; allow ec2:{operation} in the policy of the daemon's role"
            : "";

    private static Evidence NoCredentials(Exception exception) =>
        new(
            Ec2ErrorCodes.CredentialsUnavailable,
            $"{exception.Message.ReplaceLineEndings(" ").TrimEnd(' ', '.')}; give the daemon a role (pod identity, web identity) or "
                + "the node an instance profile, and let it reach the instance metadata service",
            null,
            null
        );

    private static Evidence? NoResponse(Exception exception)
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
    /// What others said, cut at this edge: codes become labels of metrics, and messages go into logs, replies and status.
    /// </summary>
    private sealed record Evidence
    {
        public Evidence(string code, string message, string? requestId, HttpStatusCode? status) =>
            (Code, Message, RequestId, Status) = (Truncate.Of(code, Truncate.LongestWord), Truncate.Of(message), requestId, status);

        public string Code { get; }
        public string Message { get; }
        public string? RequestId { get; }
        public HttpStatusCode? Status { get; }
    }
}
