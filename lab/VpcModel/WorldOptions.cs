// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>Order in which a subnet assigns addresses that the caller did not choose.</summary>
public enum AddressOrder
{
    /// <summary>Random, as on EC2, which fragments subnets.</summary>
    Scattered,

    /// <summary>Lowest free address first, for readable demos.</summary>
    Sequential,
}

/// <summary>Options of a world, which do not change.</summary>
public sealed record WorldOptions
{
    public string Region { get; init; } = "us-west-2";

    /// <summary>Account id of 12 digits.</summary>
    public string OwnerId { get; init; } = "123456789012";

    public AddressOrder AddressOrder { get; init; } = AddressOrder.Scattered;

    public IReadOnlyDictionary<string, InstanceType> InstanceTypes { get; init; } = InstanceTypeCatalog.Common;

    /// <summary>Maximum number of routes of a table, besides the local ones: EC2's default quota.</summary>
    public int RoutesPerTable { get; init; } = 50;

    /// <summary>Number of calls that the log keeps; its counters count all calls.</summary>
    public int CallLogCapacity { get; init; } = 10_000;
}

/// <summary>Latencies and lags of a world, all zero by default. They can be changed at any time.</summary>
public sealed class WorldTiming
{
    private TimeSpan _describeLag;
    private TimeSpan _metadataLag;

    /// <summary>Maximum lag.</summary>
    public static readonly TimeSpan MaxLag = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Time from AttachNetworkInterface's response until the attachment is <c>attached</c> and the guest sees the device.
    /// </summary>
    public TimeSpan AttachLatency { get; set; }

    /// <summary>Time from DetachNetworkInterface's response until the device is removed and the interface is <c>available</c>.</summary>
    public TimeSpan DetachLatency { get; set; }

    /// <summary>Age of the state that Describe calls return, which models EC2's eventual consistency.</summary>
    public TimeSpan DescribeLag
    {
        get => _describeLag;
        set => _describeLag = Checked(value);
    }

    /// <summary>Age of the state that the instance metadata returns.</summary>
    public TimeSpan MetadataLag
    {
        get => _metadataLag;
        set => _metadataLag = Checked(value);
    }

    private static TimeSpan Checked(TimeSpan lag) =>
        lag >= TimeSpan.Zero && lag <= MaxLag
            ? lag
            : throw new ArgumentOutOfRangeException(nameof(lag), lag, $"expected a lag between zero and {MaxLag}");
}
