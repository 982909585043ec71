// SPDX-License-Identifier: Apache-2.0
using Amazon.EC2.Model;
using Amazon.Runtime;

namespace Amazon.EC2.Internal;

/// <summary>One EC2 operation: its name on the wire, how its request is written and how its answer is read.</summary>
internal sealed class Ec2Operation<TRequest, TResponse>(string name, Action<TRequest, Ec2QueryWriter> write, Func<Ec2Element, TResponse> read)
    where TRequest : AmazonEC2Request
    where TResponse : AmazonWebServiceResponse, new()
{
    public Ec2QueryMarshaller<TRequest> Marshaller { get; } = new(name, write);

    public Ec2XmlUnmarshaller<TResponse> Unmarshaller { get; } = new(read);
}
