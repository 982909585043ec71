// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace VpcCni.Ipamd.Hosting.Http;

/// <summary>A page at one path.</summary>
/// <param name="Path">Exact path, without a query.</param>
/// <param name="ContentType">Content type with its parameters.</param>
/// <param name="Write">Renders the body. Called by one thread at a time.</param>
internal sealed record HttpPage(string Path, string ContentType, Action<IBufferWriter<byte>> Write);

/// <summary>
/// Answers GET and HEAD for a few pages. A page that was rendered within <see cref="Freshness"/> is sent from the cache, so a page is
/// rendered only a few times a second, however many clients request it.
/// </summary>
internal sealed class HttpPages(IReadOnlyList<HttpPage> pages, TimeProvider time)
{
    /// <summary>Maximum age of a cached page.</summary>
    public static readonly TimeSpan Freshness = TimeSpan.FromMilliseconds(200);

    /// <summary>Path of the page for unknown paths; null: 404.</summary>
    public string? Fallback { get; init; }

    private readonly CachedPage[] _pages = [.. pages.Select(page => new CachedPage(page))];

    /// <summary>Handles a request; a <see cref="RequestDelegate"/>.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        var response = context.Response;
        if ((Find(context.Request.Path.Value) ?? Find(Fallback)) is not { } cached)
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

        var body = cached.Render(time);
        response.ContentType = cached.Page.ContentType;
        response.ContentLength = body.Length;
        // Outside the lock, so that a slow client delays only itself.
        if (HttpMethods.IsGet(context.Request.Method))
            await response.BodyWriter.WriteAsync(body, context.RequestAborted);
    }

    private CachedPage? Find(string? path) => Array.Find(_pages, item => item.Page.Path == path);

    /// <summary>A page and its last rendering.</summary>
    private sealed class CachedPage(HttpPage page)
    {
        private const int FirstCapacity = 4096;

        private readonly Lock _lock = new();
        private ReadOnlyMemory<byte> _body;
        private long? _writtenAt;

        public HttpPage Page { get; } = page;

        /// <summary>Returns the body, which never changes afterwards.</summary>
        public ReadOnlyMemory<byte> Render(TimeProvider time)
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
