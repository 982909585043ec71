// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace VpcCni.Ipamd.Hosting.Http;

/// <summary>What is served under one path.</summary>
/// <param name="Path">Exact, without a query.</param>
/// <param name="ContentType">With its parameters.</param>
/// <param name="Write">Writes the body. Called by one thread at a time.</param>
internal sealed record HttpPage(string Path, string ContentType, Action<IBufferWriter<byte>> Write);

/// <summary>
/// Answers GET and HEAD for a few pages. A page that was written a moment ago is sent again: however many ask, and however fast, a page is
/// written a few times a second at most.
/// </summary>
internal sealed class HttpPages(IReadOnlyList<HttpPage> pages, TimeProvider time)
{
    /// <summary>Nobody who looks sees anything older than this.</summary>
    public static readonly TimeSpan Freshness = TimeSpan.FromMilliseconds(200);

    /// <summary>Path of the page that answers every path that none has; null: 404.</summary>
    public string? Fallback { get; init; }

    private readonly CachedPage[] _shelves = [.. pages.Select(page => new CachedPage(page))];

    /// <summary>A <see cref="RequestDelegate"/>.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        var response = context.Response;
        if ((Find(context.Request.Path.Value) ?? Find(Fallback)) is not { } shelf)
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        if (!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            response.Headers.Allow = "GET, HEAD";
            return;
        }

        var body = shelf.Take(time);
        response.ContentType = shelf.Page.ContentType;
        response.ContentLength = body.Length;
        // Outside of the lock: a slow client waits for itself only.
        if (HttpMethods.IsGet(context.Request.Method))
            await response.BodyWriter.WriteAsync(body, context.RequestAborted);
    }

    private CachedPage? Find(string? path) => Array.Find(_shelves, item => item.Page.Path == path);

    /// <summary>A page, and what was last written of it.</summary>
    private sealed class CachedPage(HttpPage page)
    {
        private const int FirstCapacity = 4096;

        private readonly Lock _lock = new();
        private ReadOnlyMemory<byte> _body;
        private long? _writtenAt;

        public HttpPage Page { get; } = page;

        /// <summary>Nobody writes to it any more.</summary>
        public ReadOnlyMemory<byte> Take(TimeProvider time)
        {
            lock (_lock)
            {
                if (_writtenAt is { } at && time.GetElapsedTime(at) < Freshness)
                    return _body;
                _writtenAt = null;
                var output = new ArrayBufferWriter<byte>(Math.Max(FirstCapacity, _body.Length + (_body.Length / 8)));
                Page.Write(output);
                (_body, _writtenAt) = (output.WrittenMemory, time.GetTimestamp());
                return _body;
            }
        }
    }
}
