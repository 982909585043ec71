// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Model;
using Amazon.Runtime;
using Amazon.Runtime.Internal;
using Amazon.Runtime.Internal.Transform;

namespace Amazon.EC2.Internal;

/// <summary>
/// Writes a request as an EC2 Query form: <c>Action</c>, <c>Version</c> and the parameters, POSTed to the endpoint's root
/// (smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html). AWSSDK.Core encodes and sorts the form.
/// </summary>
internal sealed class Ec2QueryMarshaller<TRequest>(string action, Action<TRequest, Ec2QueryWriter> write) : IMarshaller<IRequest, AmazonWebServiceRequest>
    where TRequest : AmazonEC2Request
{
    private const string Version = "2016-11-15";

    public IRequest Marshall(AmazonWebServiceRequest input)
    {
        var typed = (TRequest)input;
        var request = new DefaultRequest(typed, "Amazon.EC2");
        request.Parameters.Add("Action", action);
        request.Parameters.Add("Version", Version);
        write(typed, new Ec2QueryWriter(request.Parameters, ""));
        return request;
    }
}
