// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Grpc.Core.Internal;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>
/// The context of one call: its deadline and its cancellation. Two parties may answer, the method and the deadline; <see cref="TryFinish"/> decides between them, and
/// after it nothing else is written.
/// </summary>
internal sealed class HttpContextServerCallContext : ServerCallContext, IDisposable
{
    private readonly Lock _gate = new();
    private readonly string _fullName;
    private readonly TaskCompletionSource _deadlinePassed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource? _source;
    private readonly ITimer? _timer;
    private Metadata? _requestHeaders;
    private Metadata? _trailers;
    private Dictionary<object, object>? _userState;
    private Task? _headersWrite;
    private bool _finished;
    private bool _disposed;

    /// <param name="context">The request.</param>
    /// <param name="fullName">"/service/method".</param>
    /// <param name="timeout">Null without a deadline.</param>
    /// <param name="time">The clock of the deadline.</param>
    public HttpContextServerCallContext(HttpContext context, string fullName, TimeSpan? timeout, TimeProvider time)
    {
        HttpContext = context;
        _fullName = fullName;
        DeadlineCore = DateTime.MaxValue;
        CancellationTokenCore = context.RequestAborted;
        if (timeout is not { } remaining) return;

        var now = time.GetUtcNow().UtcDateTime;
        DeadlineCore = remaining < DateTime.MaxValue - now ? now + remaining : DateTime.MaxValue;
        _source = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        CancellationTokenCore = _source.Token;
        _timer = time.CreateTimer(static state => ((HttpContextServerCallContext)state!).PassDeadline(), this, GrpcTimeout.TimerDelay(remaining), Timeout.InfiniteTimeSpan);
    }

    public HttpContext HttpContext { get; }

    /// <summary>Completes at the deadline; never without one.</summary>
    public Task DeadlinePassed => _deadlinePassed.Task;

    protected override string MethodCore => _fullName;

    protected override string HostCore => HttpContext.Request.Host.Value ?? "";

    protected override string PeerCore => PeerAddress.Of(HttpContext);

    protected override DateTime DeadlineCore { get; }

    protected override Metadata RequestHeadersCore => _requestHeaders ??= CallProtocol.ReadMetadata(HttpContext.Request.Headers);

    protected override CancellationToken CancellationTokenCore { get; }

    protected override Metadata ResponseTrailersCore => _trailers ??= [];

    protected override Status StatusCore { get; set; }

    protected override IDictionary<object, object> UserStateCore => _userState ??= [];

    /// <summary>True for the first caller only, once headers that were being written are out.</summary>
    public async ValueTask<bool> TryFinish()
    {
        Task? pending;
        lock (_gate)
        {
            if (_finished) return false;
            _finished = true;
            pending = _headersWrite;
        }

        if (pending is not null) await pending;
        return true;
    }

    public void Dispose()
    {
        lock (_gate) _disposed = true;
        _timer?.Dispose();
        _source?.Dispose();
    }

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders)
    {
        ArgumentNullException.ThrowIfNull(responseHeaders);
        lock (_gate)
        {
            if (_finished) throw new InvalidOperationException($"The response headers of {_fullName} cannot be sent: the call has ended ({(DeadlinePassed.IsCompleted ? "deadline" : "status sent")}).");
            if (_headersWrite is not null) throw new InvalidOperationException($"The response headers of {_fullName} were sent already.");
            CallProtocol.WriteHeaders(HttpContext.Response, responseHeaders);
            CallProtocol.StartResponse(HttpContext.Response);
            return _headersWrite = HttpContext.Response.BodyWriter.FlushAsync().AsTask();
        }
    }

    private void PassDeadline()
    {
        _deadlinePassed.TrySetResult();
        lock (_gate)
        {
            if (_disposed) return;
        }

        try
        {
            _source!.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The call ended between the check and here; nobody listens any more.
        }
    }
}
