// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Amazon.EC2;
using Amazon.Runtime;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

public sealed class Ec2CallerTests
{
    private static readonly AwsCloudOptions Options = new()
    {
        Backoff = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(2), randomShare: 1),
    };
    private readonly List<CloudAttempt> _attempts = [];

    public static TheoryData<Case> Cases =>
        [
            new Case(
                "throttled",
                () => Error("RequestLimitExceeded", 503),
                nameof(CloudErrorKind.Throttled),
                "RequestLimitExceeded",
                HarmlessCalls: 1,
                HarmfulCalls: 1
            ),
            new Case(
                "refused",
                () => Error("UnauthorizedOperation", 403),
                nameof(CloudErrorKind.NotPermitted),
                "UnauthorizedOperation",
                1,
                1
            ),
            new Case(
                "subnet full",
                () => Error("InsufficientCidrBlocks", 400),
                nameof(CloudErrorKind.SubnetExhausted),
                "InsufficientCidrBlocks",
                1,
                1
            ),
            new Case("internal error", () => Error("InternalError", 500), nameof(CloudErrorKind.Transient), "InternalError", 3, 1),
            new Case("error without code", () => Error("", 502), nameof(CloudErrorKind.Transient), "BadGateway", 3, 1),
            new Case("clock skew", () => Error("RequestExpired", 400), nameof(CloudErrorKind.Transient), "RequestExpired", 3, 3),
            new Case(
                "connection refused",
                () => new HttpRequestException(HttpRequestError.ConnectionError, "Connection refused", new SocketException(111)),
                nameof(CloudErrorKind.Transient),
                "NoConnection",
                3,
                3
            ),
            new Case(
                "no such host",
                () => new HttpRequestException(HttpRequestError.NameResolutionError, "Name or service not known"),
                nameof(CloudErrorKind.Transient),
                "NoConnection",
                3,
                3
            ),
            new Case(
                "connection lost",
                () => new HttpRequestException(HttpRequestError.ResponseEnded, "The response ended prematurely"),
                nameof(CloudErrorKind.Transient),
                "NoAnswer",
                3,
                1
            ),
            new Case(
                "connection reset",
                () => new IOException("reset", new SocketException(104)),
                nameof(CloudErrorKind.Transient),
                "NoAnswer",
                3,
                1
            ),
            new Case("timeout inside the SDK", () => new TimeoutException(), nameof(CloudErrorKind.Transient), "NoAnswer", 3, 1),
            new Case(
                "unreadable answer",
                () => new AmazonUnmarshallingException("r", "x", new FormatException("bad"), HttpStatusCode.OK),
                nameof(CloudErrorKind.Transient),
                "UnreadableAnswer",
                3,
                1
            ),
            new Case(
                "no credentials",
                () => new AmazonClientException("Failed to resolve AWS credentials."),
                nameof(CloudErrorKind.NotPermitted),
                "CredentialsUnavailable",
                1,
                1
            ),
            new Case(
                "no credentials from the metadata",
                () => new AmazonServiceException("Unable to get IAM security credentials from EC2 Instance Metadata Service."),
                nameof(CloudErrorKind.NotPermitted),
                "CredentialsUnavailable",
                1,
                1
            ),
        ];

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Failure_is_translated_and_retried_only_where_that_is_safe(Case sample)
    {
        foreach (var (repeat, expected) in new[] { (Idempotency.Safe, sample.HarmlessCalls), (Idempotency.Unsafe, sample.HarmfulCalls) })
        {
            _attempts.Clear();
            var calls = 0;
            var thrown = sample.Make();

            var failure = await Assert.ThrowsAsync<CloudException>(() =>
                Caller(TimeProvider.System)
                    .CallAsync<int>(
                        "AssignPrivateIpAddresses",
                        repeat,
                        _ =>
                        {
                            calls++;
                            throw thrown;
                        },
                        default
                    )
            );

            Assert.Equal(
                (sample.Kind, sample.Code, "AssignPrivateIpAddresses"),
                (failure.Kind.ToString(), failure.Code, failure.Operation)
            );
            Assert.Same(thrown, failure.InnerException);
            Assert.Equal(expected, calls);
            Assert.Equal(Enumerable.Repeat(sample.Code, expected), _attempts.Select(attempt => attempt.Code));
        }
    }

    [Fact]
    public async Task Error_keeps_request_id_and_status()
    {
        var failure = await Assert.ThrowsAsync<CloudException>(() =>
            Caller(TimeProvider.System).CallAsync<int>("DescribeSubnets", Idempotency.Unsafe, _ => throw Error("AuthFailure", 401), default)
        );

        Assert.Equal("req-1", failure.RequestId);
        Assert.Equal(401, Assert.Single(_attempts).Status);
        Assert.Equal("DescribeSubnets: AuthFailure: message of AuthFailure", failure.Message);
    }

    [Fact]
    public async Task Success_after_a_failure_is_success_and_both_attempts_are_observed()
    {
        var calls = 0;

        var result = await Caller(TimeProvider.System)
            .CallAsync(
                "DescribeSubnets",
                Idempotency.Safe,
                _ => ++calls == 1 ? throw Error("InternalError", 500) : Task.FromResult(7),
                default
            );

        Assert.Equal(7, result);
        Assert.Equal([("InternalError", 500), ("", 200)], _attempts.Select(attempt => (attempt.Code, attempt.Status)));
    }

    [Fact]
    public async Task Call_that_ignores_its_token_ends_at_its_deadline()
    {
        var time = new ManualTimeProvider();
        var never = new TaskCompletionSource<int>();

        var call = Caller(time).CallAsync("AssignPrivateIpAddresses", Idempotency.Unsafe, _ => never.Task, default);
        time.Advance(TimeSpan.FromSeconds(10) - TimeSpan.FromTicks(1));
        Assert.False(call.IsCompleted);
        time.Advance(TimeSpan.FromTicks(1));

        var failure = await Assert.ThrowsAsync<CloudException>(() => call.WaitAsync(Eventually.DefaultDeadline));
        Assert.Equal((CloudErrorKind.Transient, "NoAnswer"), (failure.Kind, failure.Code));
        Assert.Contains("no answer within 10 s", failure.Message, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromSeconds(10), Assert.Single(_attempts).Duration);
    }

    [Fact]
    public async Task Every_attempt_has_its_own_deadline()
    {
        var time = new ManualTimeProvider();
        var calls = 0;

        var call = Caller(time)
            .CallAsync(
                "DescribeSubnets",
                Idempotency.Safe,
                _ =>
                {
                    calls++;
                    return new TaskCompletionSource<int>().Task;
                },
                default
            );
        for (var attempt = 1; attempt <= 3; attempt++)
        {
            var expected = attempt;
            await Eventually.TrueAsync(() => Volatile.Read(ref calls) == expected);
            time.Advance(TimeSpan.FromSeconds(10));
            if (attempt < 3)
                await Eventually.TrueAsync(() => time.PendingTimers == 1);
            time.Advance(TimeSpan.FromMilliseconds(10));
        }

        await Assert.ThrowsAsync<CloudException>(() => call.WaitAsync(Eventually.DefaultDeadline));
        Assert.Equal(3, calls);
    }

    [Fact]
    public async Task Cancellation_by_the_caller_is_no_failure_of_the_cloud()
    {
        using var cancellation = new CancellationTokenSource();
        var never = new TaskCompletionSource<int>();

        var call = Caller(TimeProvider.System).CallAsync("DescribeSubnets", Idempotency.Safe, _ => never.Task, cancellation.Token);
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        Assert.Empty(_attempts);
    }

    [Fact]
    public async Task Own_defect_is_not_reported_as_a_cloud_failure() =>
        await Assert.ThrowsAsync<InvalidOperationException>(() =>
            Caller(TimeProvider.System)
                .CallAsync<int>("DescribeSubnets", Idempotency.Safe, _ => throw new InvalidOperationException("bug"), default)
        );

    private Ec2Caller Caller(TimeProvider time) => new(Options, time, new Random(1), _attempts.Add);

    private static AmazonEC2Exception Error(string code, int status) =>
        new($"message of {code}", ErrorType.Unknown, code, "req-1", (HttpStatusCode)status);

    public sealed record Case(string Name, Func<Exception> Make, string Kind, string Code, int HarmlessCalls, int HarmfulCalls)
    {
        public override string ToString() => Name;
    }
}
