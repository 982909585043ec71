// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws.Imds;

public sealed class ImdsClientTests
{
    private const string Key = "latest/meta-data/instance-id";
    private const string Path = "meta-data/instance-id";
    private readonly ManualTimeProvider _time = new();

    [Fact]
    public async Task Value_is_read_with_one_token_for_many_requests()
    {
        await using var imds = await FakeImds.StartAsync();
        using var client = Client(imds);

        Assert.Equal("i-0123456789abcdef0", await client.TryGetAsync(Key, default));
        Assert.Equal("m5.large", await client.TryGetAsync("latest/meta-data/instance-type", default));

        Assert.Equal(1, imds.TokensIssued);
        Assert.Equal("21600", imds.Requests[0].Headers["X-aws-ec2-metadata-token-ttl-seconds"]);
        Assert.All(imds.Requests.Skip(1), request => Assert.Equal("token-1==", request.Headers["X-aws-ec2-metadata-token"]));
    }

    [Fact]
    public async Task Concurrent_first_requests_fetch_one_token()
    {
        await using var imds = await FakeImds.StartAsync();
        using var client = Client(imds);

        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => client.TryGetAsync(Key, default)));

        Assert.Equal(1, imds.TokensIssued);
    }

    [Fact]
    public async Task Token_is_replaced_before_it_expires()
    {
        await using var imds = await FakeImds.StartAsync();
        using var client = Client(imds);
        await client.TryGetAsync(Key, default);

        _time.Advance(TimeSpan.FromHours(6) - TimeSpan.FromMinutes(5) - TimeSpan.FromSeconds(1));
        await client.TryGetAsync(Key, default);
        Assert.Equal(1, imds.TokensIssued);

        _time.Advance(TimeSpan.FromSeconds(1));
        await client.TryGetAsync(Key, default);
        Assert.Equal(2, imds.TokensIssued);
    }

    [Fact]
    public async Task Granted_lifetime_overrides_the_requested_one()
    {
        await using var imds = await FakeImds.StartAsync();
        imds.GrantedSeconds = 60;
        using var client = Client(imds);
        await client.TryGetAsync(Key, default);

        _time.Advance(TimeSpan.FromSeconds(29));
        await client.TryGetAsync(Key, default);
        Assert.Equal(1, imds.TokensIssued);

        _time.Advance(TimeSpan.FromSeconds(1));
        await client.TryGetAsync(Key, default);
        Assert.Equal(2, imds.TokensIssued);
    }

    [Fact]
    public async Task Invalidated_token_is_replaced_once()
    {
        await using var imds = await FakeImds.StartAsync();
        using var client = Client(imds);
        await client.TryGetAsync(Key, default);
        imds.ForgetTokens();

        Assert.Equal("i-0123456789abcdef0", await client.TryGetAsync(Key, default));
        Assert.Equal(2, imds.TokensIssued);
    }

    [Fact]
    public async Task Rejection_of_a_fresh_token_is_not_permitted()
    {
        await using var imds = await FakeImds.StartAsync();
        imds.Override = request => Task.FromResult(request.Method == "GET" ? new Reply(401, "") : null);
        using var client = Client(imds);

        var error = await Assert.ThrowsAsync<CloudException>(() => client.TryGetAsync(Key, default));

        Assert.Equal((CloudErrorKind.NotPermitted, "MetadataUnauthorized"), (error.Kind, error.Code));
        Assert.Equal(2, imds.Count(Path));
        Assert.Equal(2, imds.TokensIssued);
    }

    [Fact]
    public async Task Missing_value_is_null_without_retry()
    {
        await using var imds = await FakeImds.StartAsync();
        using var client = Client(imds);

        Assert.Null(await client.TryGetAsync("latest/meta-data/ipv6", default));
        Assert.Equal(1, imds.Count("meta-data/ipv6"));

        var error = await Assert.ThrowsAsync<CloudException>(() => client.GetAsync("latest/meta-data/ipv6", default));
        Assert.Equal((CloudErrorKind.NotFound, "MetadataMissing"), (error.Kind, error.Code));
        Assert.Contains("/latest/meta-data/ipv6", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(503)]
    [InlineData(500)]
    [InlineData(429)]
    public async Task Transient_failure_is_retried_until_success(int status)
    {
        await using var imds = await FakeImds.StartAsync();
        var failures = 3;
        imds.Override = request => Task.FromResult(request.Method == "GET" && failures-- > 0 ? new Reply(status, "busy") : null);
        using var client = Client(imds, TimeProvider.System);

        Assert.Equal("i-0123456789abcdef0", await client.TryGetAsync(Key, default));
        Assert.Equal(4, imds.Count(Path));
    }

    [Fact]
    public async Task Lasting_failure_ends_after_the_attempts_with_the_answer()
    {
        await using var imds = await FakeImds.StartAsync();
        imds.Override = request => Task.FromResult(request.Method == "GET" ? new Reply(503, "busy\nvery") : null);
        using var client = Client(imds, TimeProvider.System);

        var error = await Assert.ThrowsAsync<CloudException>(() => client.TryGetAsync(Key, default));

        Assert.Equal((CloudErrorKind.Transient, "MetadataError"), (error.Kind, error.Code));
        Assert.Contains("GET http://127.0.0.1", error.Message, StringComparison.Ordinal);
        Assert.Contains("HTTP 503 (attempt 4 of 4): 'busy very'", error.Message, StringComparison.Ordinal);
        Assert.Equal(4, imds.Count(Path));
    }

    [Fact]
    public async Task Pauses_grow_with_jitter_on_the_injected_clock()
    {
        await using var imds = await FakeImds.StartAsync();
        imds.Override = request => Task.FromResult(request.Method == "GET" ? new Reply(503, "") : null);
        // Without a deadline on requests, the pauses between them are the only timers.
        using var client = new ImdsClient(
            new ImdsOptions { Endpoint = imds.Url, RequestTimeout = Timeout.InfiniteTimeSpan },
            _time,
            new FixedRandom(1),
            onAttempt: _ => { }
        );

        var call = client.TryGetAsync(Key, default);
        var sent = 1;
        foreach (var pause in new[] { 100, 200, 400 })
        {
            await Eventually.TrueAsync(() => imds.Count(Path) == sent && _time.PendingTimers == 1);
            _time.Advance(TimeSpan.FromMilliseconds(pause - 1));
            Assert.Equal(1, _time.PendingTimers);
            Assert.Equal(sent, imds.Count(Path));
            _time.Advance(TimeSpan.FromMilliseconds(1));
            sent++;
        }

        await Assert.ThrowsAsync<CloudException>(() => call);
    }

    [Fact]
    public async Task Silent_service_fails_at_the_deadline_and_names_the_hop_limit()
    {
        await using var imds = await FakeImds.StartAsync();
        imds.Override = async request =>
        {
            await Task.Delay(Timeout.Infinite, request.Aborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return Reply.Lost;
        };
        using var client = new ImdsClient(
            new ImdsOptions { Endpoint = imds.Url, MaxAttempts = 1 },
            _time,
            new Random(1),
            onAttempt: _ => { }
        );

        var call = client.TryGetAsync(Key, default);
        await Eventually.TrueAsync(() => imds.Count("api/token") == 1);
        Assert.False(call.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(2));

        var error = await Assert.ThrowsAsync<CloudException>(() => call.WaitAsync(Eventually.DefaultDeadline));
        Assert.Equal((CloudErrorKind.Transient, "MetadataUnreachable"), (error.Kind, error.Code));
        Assert.Contains("no answer within 2 s", error.Message, StringComparison.Ordinal);
        Assert.Contains("HttpPutResponseHopLimit", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Closed_port_is_unreachable()
    {
        var imds = await FakeImds.StartAsync();
        var url = imds.Url;
        await imds.DisposeAsync();
        using var client = new ImdsClient(
            new ImdsOptions { Endpoint = url, Backoff = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(2), randomShare: 1) },
            TimeProvider.System,
            new Random(1),
            onAttempt: _ => { }
        );

        var error = await Assert.ThrowsAsync<CloudException>(() => client.TryGetAsync(Key, default));

        Assert.Equal((CloudErrorKind.Transient, "MetadataUnreachable"), (error.Kind, error.Code));
        Assert.Contains("attempt 4 of 4", error.Message, StringComparison.Ordinal);
        Assert.NotNull(error.InnerException);
    }

    [Fact]
    public async Task Disabled_service_is_not_permitted_without_retry()
    {
        await using var imds = await FakeImds.StartAsync();
        imds.Override = _ => Task.FromResult<Reply?>(new Reply(403, ""));
        using var client = Client(imds);

        var error = await Assert.ThrowsAsync<CloudException>(() => client.TryGetAsync(Key, default));

        Assert.Equal((CloudErrorKind.NotPermitted, "MetadataForbidden"), (error.Kind, error.Code));
        Assert.Single(imds.Requests);
    }

    [Theory]
    [InlineData("<html>captive portal</html>")]
    [InlineData("")]
    public async Task Invalid_token_is_malformed(string garbage)
    {
        await using var imds = await FakeImds.StartAsync();
        imds.Override = request => Task.FromResult(request.Method == "PUT" ? Reply.Ok(garbage) : null);
        using var client = Client(imds, TimeProvider.System);

        var error = await Assert.ThrowsAsync<CloudException>(() => client.TryGetAsync(Key, default));

        Assert.Equal("MetadataMalformed", error.Code);
        Assert.Equal(4, imds.Count("api/token"));
    }

    [Fact]
    public async Task Redirect_is_not_followed()
    {
        await using var imds = await FakeImds.StartAsync();
        imds.Override = request =>
            Task.FromResult(
                request.Method == "GET"
                    ? new Reply(302, "") { Headers = new Dictionary<string, string> { ["Location"] = "/latest/meta-data/mac" } }
                    : null
            );
        using var client = Client(imds);

        var error = await Assert.ThrowsAsync<CloudException>(() => client.TryGetAsync(Key, default));

        Assert.Contains("HTTP 302", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, imds.Count("meta-data/mac"));
    }

    [Fact]
    public async Task Oversized_answer_is_rejected()
    {
        await using var imds = await FakeImds.StartAsync();
        imds.Values[Path] = new string('x', 100_000);
        using var client = Client(imds, TimeProvider.System);

        await Assert.ThrowsAsync<CloudException>(() => client.TryGetAsync(Key, default));
    }

    [Fact]
    public async Task Cancelled_request_is_cancelled_not_failed()
    {
        await using var imds = await FakeImds.StartAsync();
        using var client = Client(imds);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.TryGetAsync(Key, new CancellationToken(canceled: true)));
    }

    private ImdsClient Client(FakeImds imds, TimeProvider? time = null) =>
        new(
            new ImdsOptions
            {
                Endpoint = imds.Url,
                Backoff = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(2), randomShare: 1),
                RequestTimeout = TimeSpan.FromSeconds(20),
            },
            time ?? _time,
            new Random(1),
            onAttempt: _ => { }
        );
}
