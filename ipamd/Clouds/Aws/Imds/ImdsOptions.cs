// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Clouds.Aws.Imds;

/// <summary>How to reach the instance metadata service, and how long to try.</summary>
internal sealed record ImdsOptions
{
    /// <summary>
    /// Endpoint; the link-local address is the same on every instance
    /// (docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html).
    /// </summary>
    public Uri Endpoint { get; init; } = new("http://169.254.169.254/");

    /// <summary>Lifetime of a token: the longest that the service grants, six hours.</summary>
    public TimeSpan TokenLifetime { get; init; } = TimeSpan.FromHours(6);

    /// <summary>How long before its expiry a token is replaced, so that no request in flight meets the expiry.</summary>
    public TimeSpan TokenRefreshMargin { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Time limit of one request. The service answers the host within a millisecond, unless it throttles.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Most requests for one value, the first included.</summary>
    public int MaxAttempts { get; init; } = 4;

    /// <summary>Pauses between attempts; with full jitter.</summary>
    public Backoff Backoff { get; init; } = new(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(2), randomShare: 1);

    /// <summary>
    /// Whether a node must have an IPv6 address of its own, as one with IPv6 pods: the first address that EC2 assigns to its primary
    /// interface is the node's, to the metadata and to the DHCPv6 client of its image, so it must not be a pod's.
    /// </summary>
    public bool RequiresIpv6 { get; init; }
}
