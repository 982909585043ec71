// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>How a subnet gives out addresses that the caller did not choose.</summary>
public enum AddressOrder
{
    /// <summary>Anywhere in the subnet, as EC2 does; this is what fragments subnets.</summary>
    Scattered,

    /// <summary>The lowest free one: readable demos.</summary>
    Sequential,
}

/// <summary>What is fixed for the life of a world.</summary>
public sealed record WorldOptions
{
    public string Region { get; init; } = "us-west-2";

    /// <summary>The account: 12 digits.</summary>
    public string OwnerId { get; init; } = "123456789012";

    public AddressOrder AddressOrder { get; init; } = AddressOrder.Scattered;

    public IReadOnlyDictionary<string, InstanceType> InstanceTypes { get; init; } = InstanceTypeCatalog.Common;

    /// <summary>How many calls the log keeps; its counters count all.</summary>
    public int CallLogCapacity { get; init; } = 10_000;
}

/// <summary>How slow and how stale the world is. May be changed while it runs; zero everywhere is a world without delays.</summary>
public sealed class WorldTiming
{
    private TimeSpan _describeLag;
    private TimeSpan _metadataLag;

    /// <summary>The furthest back that a lag can look.</summary>
    public static readonly TimeSpan MaxLag = TimeSpan.FromMinutes(10);

    /// <summary>From AttachNetworkInterface's answer until the attachment is <c>attached</c> and the guest has the device.</summary>
    public TimeSpan AttachLatency { get; set; }

    /// <summary>From DetachNetworkInterface's answer until the device is gone and the interface is <c>available</c>.</summary>
    public TimeSpan DetachLatency { get; set; }

    /// <summary>How old the world is that Describe calls show: EC2's eventual consistency.</summary>
    public TimeSpan DescribeLag
    {
        get => _describeLag;
        set => _describeLag = Checked(value);
    }

    /// <summary>How old the world is that the instance metadata shows.</summary>
    public TimeSpan MetadataLag
    {
        get => _metadataLag;
        set => _metadataLag = Checked(value);
    }

    private static TimeSpan Checked(TimeSpan lag) =>
        lag >= TimeSpan.Zero && lag <= MaxLag
            ? lag
            : throw new ArgumentOutOfRangeException(nameof(lag), lag, $"a lag is between zero and {MaxLag}");
}
