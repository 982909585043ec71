// SPDX-License-Identifier: Apache-2.0
namespace k8s.Autorest;

/// <summary>The server answered, and not with success.</summary>
public class HttpOperationException : Exception
{
    public HttpOperationException()
    {
    }

    public HttpOperationException(string message)
        : base(message)
    {
    }

    public HttpOperationException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public HttpRequestMessageWrapper? Request { get; set; }

    /// <summary>Its <see cref="HttpMessageWrapper.Content"/> is a <see cref="Models.V1Status"/> in JSON when the API server itself answered; what a proxy before it says may be anything.</summary>
    public HttpResponseMessageWrapper? Response { get; set; }
}
