// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Http.Headers;

namespace k8s.Autorest;

/// <summary>What is kept of a message after it has been disposed of.</summary>
public abstract class HttpMessageWrapper
{
    private protected HttpMessageWrapper(string? content, params ReadOnlySpan<HttpHeaders?> headers)
    {
        Content = content;
        foreach (var set in headers)
        {
            if (set is null) continue;
            foreach (var (name, values) in set) Headers[name] = [.. values];
        }
    }

    /// <summary>The body; its first part when it is long.</summary>
    public string? Content { get; set; }

    public IDictionary<string, IEnumerable<string>> Headers { get; } = new Dictionary<string, IEnumerable<string>>(StringComparer.OrdinalIgnoreCase);
}

/// <summary>A request. Credentials are not kept.</summary>
public class HttpRequestMessageWrapper : HttpMessageWrapper
{
    public HttpRequestMessageWrapper(HttpRequestMessage httpRequest, string? content)
        : base(content, httpRequest?.Headers, httpRequest?.Content?.Headers)
    {
        ArgumentNullException.ThrowIfNull(httpRequest);
        (Method, RequestUri) = (httpRequest.Method, httpRequest.RequestUri);
        Headers.Remove("Authorization");
    }

    public HttpMethod Method { get; }

    public Uri? RequestUri { get; }
}

/// <summary>A response.</summary>
public class HttpResponseMessageWrapper : HttpMessageWrapper
{
    public HttpResponseMessageWrapper(HttpResponseMessage httpResponse, string? content)
        : base(content, httpResponse?.Headers, httpResponse?.Content?.Headers)
    {
        ArgumentNullException.ThrowIfNull(httpResponse);
        (StatusCode, ReasonPhrase) = (httpResponse.StatusCode, httpResponse.ReasonPhrase);
    }

    public HttpStatusCode StatusCode { get; }

    public string? ReasonPhrase { get; }
}
