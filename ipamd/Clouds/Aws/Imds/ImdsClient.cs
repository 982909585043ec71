// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Clouds.Aws.Imds;

/// <summary>
/// Reads the instance metadata service, version 2: a session token by PUT, then values by GET. Absence (404) is a value; every other
/// failure is a <see cref="CloudException"/> with the request, the answer and what to check. Uses no proxy and follows no redirect.
/// Thread-safe; keeps the token for its life.
/// </summary>
internal sealed class ImdsClient : IDisposable
{
    public const string TokenPath = "latest/api/token";

    /// <summary>Operation name of its requests, as in the metrics of the AWS VPC CNI.</summary>
    public const string MetadataOperation = "GetMetadata";
    private const string LifetimeHeader = "X-aws-ec2-metadata-token-ttl-seconds";
    private const string TokenHeader = "X-aws-ec2-metadata-token";

    /// <summary>Largest answer. User data, the largest value, is limited to 16 KiB.</summary>
    private const int MaxAnswerBytes = 64 * 1024;

    private readonly ImdsOptions _options;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Action<CloudAttempt> _onAttempt;
    private readonly HttpClient _http;
    private readonly SemaphoreSlim _tokenLock = new(1, 1);
    private Token? _token;

    /// <param name="options">How to reach the service.</param>
    /// <param name="time">Clock for deadlines, pauses and token expiry.</param>
    /// <param name="random">Source of jitter.</param>
    /// <param name="onAttempt">Called after every attempt of every request, with the operation <see cref="MetadataOperation"/>.</param>
    public ImdsClient(ImdsOptions options, TimeProvider time, Random random, Action<CloudAttempt> onAttempt)
    {
        _onAttempt = onAttempt;
        _options = options;
        _time = time;
        _random = random;

        // Deadlines use the injected clock; HttpClient's own timer would use the real one.
        _http = new HttpClient(
            new SocketsHttpHandler
            {
                UseProxy = false,
                UseCookies = false,
                AllowAutoRedirect = false,
                MaxConnectionsPerServer = 4,
            }
        )
        {
            BaseAddress = options.Endpoint,
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = MaxAnswerBytes,
        };
    }

    /// <summary>Reads a value under <c>latest/</c>, such as <c>latest/meta-data/mac</c>; null when the service has none.</summary>
    public async Task<string?> TryGetAsync(string path, CancellationToken cancellationToken)
    {
        var tokenRejected = false;
        for (var attempt = 1; ; attempt++)
        {
            var token = await GetTokenAsync(cancellationToken);
            var answer = await SendAsync(HttpMethod.Get, path, (TokenHeader, token.Value), cancellationToken);
            switch (answer.Status)
            {
                case HttpStatusCode.OK:
                    return answer.Body;
                case HttpStatusCode.NotFound:
                    return null;
                case HttpStatusCode.Unauthorized when !tokenRejected:
                    // The service lost the token before its expiry (restart, migration to another host). Replaced once; a second rejection
                    // has another cause.
                    tokenRejected = true;
                    Interlocked.CompareExchange(ref _token, null, token);
                    continue;
            }

            if (attempt >= _options.MaxAttempts || !IsTransient(answer))
                throw Failure(HttpMethod.Get, path, answer, attempt);
            await PauseAsync(attempt, cancellationToken);
        }
    }

    /// <summary>As <see cref="TryGetAsync"/>, for values that every instance has.</summary>
    public async Task<string> GetAsync(string path, CancellationToken cancellationToken) =>
        await TryGetAsync(path, cancellationToken)
        ?? throw new CloudException(
            CloudErrorKind.NotFound,
            $"GET {Describe(path)}",
            "MetadataMissing",
            "the instance metadata lacks this value, which every EC2 instance has; check which server answers at this address"
        );

    public void Dispose()
    {
        _http.Dispose();
        _tokenLock.Dispose();
    }

    private async ValueTask<Token> GetTokenAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _token) is { } current && _time.GetTimestamp() < current.RefreshAt)
            return current;
        await _tokenLock.WaitAsync(cancellationToken);
        try
        {
            if (_token is { } fetched && _time.GetTimestamp() < fetched.RefreshAt)
                return fetched;
            return _token = await FetchTokenAsync(cancellationToken);
        }
        finally
        {
            _tokenLock.Release();
        }
    }

    private async Task<Token> FetchTokenAsync(CancellationToken cancellationToken)
    {
        var seconds = ((long)_options.TokenLifetime.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        for (var attempt = 1; ; attempt++)
        {
            var asked = _time.GetTimestamp();
            var answer = await SendAsync(HttpMethod.Put, TokenPath, (LifetimeHeader, seconds), cancellationToken);
            if (answer.Status == HttpStatusCode.OK && IsToken(answer.Body))
            {
                var granted = answer.TokenLifetime ?? _options.TokenLifetime;
                var usable = granted > _options.TokenRefreshMargin * 2 ? granted - _options.TokenRefreshMargin : granted / 2;
                return new Token(answer.Body!, asked + (long)(usable.TotalSeconds * _time.TimestampFrequency));
            }

            if (attempt >= _options.MaxAttempts || !IsTransient(answer))
                throw Failure(HttpMethod.Put, TokenPath, answer, attempt);
            await PauseAsync(attempt, cancellationToken);
        }
    }

    /// <summary>Sends one request and returns its answer; a failed request is an answer without status.</summary>
    private async Task<Answer> SendAsync(
        HttpMethod method,
        string path,
        (string Name, string Value) header,
        CancellationToken cancellationToken
    )
    {
        var asked = _time.GetTimestamp();
        var answer = await RequestAsync(method, path, header, cancellationToken);
        // A missing value (404) is a successful answer.
        var code = answer.Status switch
        {
            null => "MetadataUnreachable",
            HttpStatusCode.OK or HttpStatusCode.NotFound => "",
            var status => status.Value.ToString(),
        };
        _onAttempt(new CloudAttempt(MetadataOperation, code, answer.Status is { } known ? (int)known : 0, _time.GetElapsedTime(asked)));
        return answer;
    }

    private async Task<Answer> RequestAsync(
        HttpMethod method,
        string path,
        (string Name, string Value) header,
        CancellationToken cancellationToken
    )
    {
        using var deadline = new CancellationTokenSource(_options.RequestTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        using var request = new HttpRequestMessage(method, path);
        request.Headers.TryAddWithoutValidation(header.Name, header.Value);
        try
        {
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseContentRead, either.Token);
            var body = await response.Content.ReadAsStringAsync(either.Token);
            TimeSpan? lifetime =
                response.Headers.TryGetValues(LifetimeHeader, out var values)
                && int.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var granted)
                && granted > 0
                    ? TimeSpan.FromSeconds(granted)
                    : null;
            return new Answer(response.StatusCode, body, lifetime, null);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new Answer(null, null, null, new TimeoutException($"no answer within {_options.RequestTimeout.TotalSeconds:0.###} s"));
        }
        catch (HttpRequestException e)
        {
            return new Answer(null, null, null, e);
        }
    }

    private Task PauseAsync(int attempt, CancellationToken cancellationToken) =>
        Task.Delay(_options.Backoff.Pause(attempt, _random), _time, cancellationToken);

    private static bool IsTransient(Answer answer) =>
        answer.Status
            is null
                or HttpStatusCode.OK
                or HttpStatusCode.TooManyRequests
                or HttpStatusCode.RequestTimeout
                or >= HttpStatusCode.InternalServerError;

    private static bool IsToken(string? body) => body is { Length: > 0 and <= 1024 } && body.All(c => c is > ' ' and < '\x7f');

    private CloudException Failure(HttpMethod method, string path, Answer answer, int attempts)
    {
        var operation = $"{method} {Describe(path)}";
        var tries = attempts == 1 ? "" : $" (attempt {attempts} of {_options.MaxAttempts})";
        return answer switch
        {
            { Status: null } when method == HttpMethod.Put => new CloudException(
                CloudErrorKind.Transient,
                operation,
                "MetadataUnreachable",
                $"{answer.Error!.Message}{tries}. Outside the host network the answer to this PUT needs a hop limit of 2 or more: "
                    + "check HttpPutResponseHopLimit and HttpEndpoint of the instance's metadata options, and that no network policy or "
                    + "packet filter blocks the address.",
                innerException: answer.Error
            ),
            { Status: null } => new CloudException(
                CloudErrorKind.Transient,
                operation,
                "MetadataUnreachable",
                $"{answer.Error!.Message}{tries}. Check that the instance's metadata options have HttpEndpoint enabled and that no "
                    + "network policy or packet filter blocks the address.",
                innerException: answer.Error
            ),
            { Status: HttpStatusCode.Forbidden } => new CloudException(
                CloudErrorKind.NotPermitted,
                operation,
                "MetadataForbidden",
                "HTTP 403. The metadata service is disabled for this instance: set HttpEndpoint=enabled in its metadata options."
            ),
            { Status: HttpStatusCode.Unauthorized } => new CloudException(
                CloudErrorKind.NotPermitted,
                operation,
                "MetadataUnauthorized",
                "HTTP 401 with a fresh token. Check which server answers at this address; a metadata proxy may drop the "
                    + "X-aws-ec2-metadata-token header."
            ),
            { Status: HttpStatusCode.OK } => new CloudException(
                CloudErrorKind.Transient,
                operation,
                "MetadataMalformed",
                $"HTTP 200, but the body is not a session token{tries}: {Quoted(answer.Body)}. Check which server answers at this address."
            ),
            _ => new CloudException(
                IsTransient(answer) ? CloudErrorKind.Transient : CloudErrorKind.Unknown,
                operation,
                "MetadataError",
                $"HTTP {(int)answer.Status}{tries}: {Quoted(answer.Body)}. Expected 200."
            ),
        };
    }

    private string Describe(string path) => new Uri(_options.Endpoint, path).ToString();

    private static string Quoted(string? body) =>
        string.IsNullOrWhiteSpace(body) ? "empty body" : $"'{Truncate.Of(body, MetadataReader.LongestQuotation)}'";

    private sealed record Token(string Value, long RefreshAt);

    private readonly record struct Answer(HttpStatusCode? Status, string? Body, TimeSpan? TokenLifetime, Exception? Error);
}
