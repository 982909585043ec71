// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Xml;
using Amazon.Runtime;
using Amazon.Runtime.Internal.Transform;

namespace Amazon.EC2.Internal;

/// <summary>
/// Reads an answer: the operation's result with its <c>requestId</c>, or <c>Response/Errors/Error</c> with <c>RequestID</c> (both spellings are EC2's). A result that cannot be
/// read surfaces as the SDK's AmazonUnmarshallingException; an error without a readable body becomes one named for its HTTP status, which is what a load balancer or proxy between
/// node and EC2 produces.
/// </summary>
internal sealed class Ec2XmlUnmarshaller<TResponse>(Func<Ec2Element, TResponse> read) : EC2ResponseUnmarshaller
    where TResponse : AmazonWebServiceResponse, new()
{
    public override AmazonWebServiceResponse Unmarshall(UnmarshallerContext input) => Unmarshall((XmlUnmarshallerContext)input);

    public override AmazonWebServiceResponse Unmarshall(XmlUnmarshallerContext context)
    {
        Ec2Element? root = null;
        try
        {
            root = Ec2Element.Parse(context.Stream);
            var response = read(root);
            response.ResponseMetadata = new ResponseMetadata { RequestId = root.String("requestId") };
            return response;
        }
        catch (Exception e) when (e is XmlException or FormatException)
        {
            // With the status of the answer, success: that is how the SDK's retry policy knows a damaged answer from a refused request.
            throw new AmazonUnmarshallingException(root?.String("requestId"), root?.Name ?? "", e, context.ResponseData?.StatusCode ?? HttpStatusCode.OK);
        }
    }

    public override AmazonServiceException UnmarshallException(XmlUnmarshallerContext context, Exception innerException, HttpStatusCode statusCode)
    {
        Ec2Element? root = null;
        try
        {
            root = Ec2Element.Parse(context.Stream);
        }
        catch (XmlException)
        {
            // Not XML: the status is all there is to say.
        }

        var error = root?.Child("Errors")?.Child("Error");
        var code = error?.String("Code") is { Length: > 0 } named ? named : statusCode.ToString();
        var message = error?.String("Message") is { Length: > 0 } text ? text : $"HTTP {(int)statusCode} without an EC2 error in its body.";
        var type = (int)statusCode >= 500 ? ErrorType.Receiver : ErrorType.Sender;
        return new AmazonEC2Exception(message, innerException, type, code, root?.String("RequestID") ?? root?.String("RequestId"), statusCode);
    }
}
