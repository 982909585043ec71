// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>Settings of <see cref="Ec2"/>; the comments name the environment variables that set them.</summary>
internal sealed record AwsCloudOptions
{
    /// <summary>Smallest HTTP_TIMEOUT that the AWS CNI accepts.</summary>
    public static readonly TimeSpan MinimumHttpTimeout = TimeSpan.FromSeconds(10);

    /// <summary>AWS_ENDPOINT_URL_EC2 and its variants: another address of the EC2 API. Null: the profile's, else the region's.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>
    /// The metadata service. Its endpoint is AWS_EC2_METADATA_SERVICE_ENDPOINT, which the SDK also reads, only from the environment, for
    /// the node's credentials: one variable sets both.
    /// </summary>
    public ImdsOptions Metadata { get; init; } = new();

    /// <summary>HTTP_TIMEOUT: limit of one attempt of one EC2 call, from resolving credentials to the last byte.</summary>
    public TimeSpan HttpTimeout { get; init; } = MinimumHttpTimeout;

    /// <summary>Most attempts of one call, the first included.</summary>
    public int MaxAttempts { get; init; } = 3;

    /// <summary>Pauses between attempts; with full jitter.</summary>
    public Backoff Backoff { get; init; } = new(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(2), randomShare: 1);

    /// <summary>AWS_REGION. Null: from the profile, else from the instance metadata.</summary>
    public string? Region { get; init; }

    /// <summary>
    /// AWS_PROFILE: the profile of the shared files to take region and role from. Null: only the SDK reads the files, for credentials.
    /// </summary>
    public string? Profile { get; init; }

    /// <summary>CLUSTER_NAME, for the cluster tags. Null: no cluster tags.</summary>
    public string? ClusterName { get; init; }

    /// <summary>ADDITIONAL_ENI_TAGS.</summary>
    public IReadOnlyDictionary<string, string> AdditionalTags { get; init; } = new Dictionary<string, string>();

    /// <summary>Credentials. Null: the SDK's default chain (environment, web identity, profile, container, instance profile).</summary>
    public AWSCredentials? Credentials { get; init; }

    /// <summary>Returns every error in the settings, in the user's terms.</summary>
    public IEnumerable<string> Validate()
    {
        if (HttpTimeout < MinimumHttpTimeout)
            yield return $"HTTP_TIMEOUT is {HttpTimeout.TotalSeconds:0} s, expected at least {MinimumHttpTimeout.TotalSeconds:0}";
        if (Endpoint is { } ec2 && !IsHttp(ec2))
        {
            yield return $"the EC2 endpoint is '{ec2}', expected an absolute http or https URL "
                + "(AWS_ENDPOINT_URL_EC2, AWS_EC2_ENDPOINT, AWS_ENDPOINT_URL)";
        }

        if (!IsHttp(Metadata.Endpoint))
            yield return $"AWS_EC2_METADATA_SERVICE_ENDPOINT is '{Metadata.Endpoint}', expected an absolute http or https URL";
    }

    /// <summary>Returns every setting that is ignored, in the user's terms.</summary>
    public IEnumerable<string> Warnings() => EniTags.Ignored(AdditionalTags);

    private static bool IsHttp(Uri uri) => uri.IsAbsoluteUri && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps);
}
