// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Amazon.Runtime;

namespace Amazon.EC2;

/// <summary>
/// An error that EC2 answered. <see cref="AmazonServiceException.ErrorCode"/> is EC2's own word (<c>InvalidNetworkInterfaceID.NotFound</c>); where the answer had no
/// readable body it is the name of the HTTP status instead (<c>ServiceUnavailable</c>).
/// </summary>
public class AmazonEC2Exception : AmazonServiceException
{
    public AmazonEC2Exception(string message)
        : base(message)
    {
    }

    public AmazonEC2Exception(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public AmazonEC2Exception(Exception innerException)
        : base(innerException?.Message ?? "", innerException)
    {
    }

    public AmazonEC2Exception(string message, ErrorType errorType, string errorCode, string? requestId, HttpStatusCode statusCode)
        : base(message, errorType, errorCode, requestId, statusCode)
    {
    }

    public AmazonEC2Exception(string message, Exception? innerException, ErrorType errorType, string errorCode, string? requestId, HttpStatusCode statusCode)
        : base(message, innerException, errorType, errorCode, requestId, statusCode)
    {
    }
}
