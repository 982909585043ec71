// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Ipamd.Options;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Startup;

/// <summary>Chooses the cloud's adapter and converts the options for it.</summary>
internal sealed class CloudComposition : IDisposable
{
    private readonly IDisposable _connections;

    private CloudComposition(ICloudFactory factory, IDisposable connections) => (Factory, _connections) = (factory, connections);

    /// <summary>Builds the ports.</summary>
    public ICloudFactory Factory { get; }

    /// <param name="options">The daemon's options.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Source of jitter.</param>
    /// <param name="onAttempt">Called after every attempt of every call: its name, error code, HTTP status and duration.</param>
    public static CloudComposition Compose(IpamdOptions options, TimeProvider time, Random random, Action<CloudAttempt> onAttempt)
    {
        var aws = ToAws(options);
        if (options.MetadataOnly)
        {
            var metadata = new MetadataOnlyEc2(aws.Metadata, time, random, onAttempt);
            return new CloudComposition(new AwsFactory(metadata, options.ManageUntaggedInterfaces), metadata);
        }

        var ec2 = new Ec2(aws, time, random, onAttempt);
        return new CloudComposition(new AwsFactory(ec2, options.ManageUntaggedInterfaces), ec2);
    }

    /// <summary>Reads the node's identity, without a daemon.</summary>
    /// <exception cref="CloudException">The metadata service did not answer.</exception>
    public static async Task<NodeIdentity> IdentifyNodeAsync(
        IpamdOptions options,
        TimeProvider time,
        Random random,
        CancellationToken cancellationToken
    )
    {
        // The daemon reports a missing IPv6 address; the settings of the node do not depend on it.
        var settings = ToAws(options).Metadata with
        {
            RequiresIpv6 = false,
        };
        // A command has no metrics.
        using var metadata = new MetadataOnlyEc2(settings, time, random, onAttempt: _ => { });
        return await metadata.IdentifyNodeAsync(cancellationToken);
    }

    /// <summary>Adds the adapter's errors and warnings about its options.</summary>
    public static BoundOptions Check(BoundOptions bound)
    {
        if (bound.Problems.Count > 0)
            return bound;
        var aws = ToAws(bound.Options);
        return bound with { Problems = [.. aws.Validate()], Warnings = [.. bound.Warnings, .. aws.Warnings()] };
    }

    public void Dispose() => _connections.Dispose();

    private static AwsCloudOptions ToAws(IpamdOptions options) =>
        new()
        {
            Endpoint = options.Ec2Endpoint,
            Metadata = (options.ImdsEndpoint is { } imds ? new ImdsOptions { Endpoint = imds } : new ImdsOptions()) with
            {
                RequiresIpv6 = options.Families.Contains(IpFamily.V6),
            },
            HttpTimeout = options.HttpTimeout,
            Region = options.Region,
            Profile = options.Profile,
            ClusterName = options.ClusterName,
            AdditionalTags = options.AdditionalTags,
        };
}
