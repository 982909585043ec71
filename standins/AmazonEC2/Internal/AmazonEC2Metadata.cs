// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime.Internal;

namespace Amazon.EC2.Internal;

/// <summary>The service's name in the SDK's own metrics and user agent.</summary>
internal sealed class AmazonEC2Metadata : IServiceMetadata
{
    public string ServiceId => "EC2";

    public IDictionary<string, string> OperationNameMapping { get; } = new Dictionary<string, string>();
}
