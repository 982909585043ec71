// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime;

namespace Amazon.EC2.Model;

/// <summary>Base of all EC2 requests. Members that are null are not sent; lists are null until set.</summary>
public class AmazonEC2Request : AmazonWebServiceRequest
{
}
