// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.GceModel;

/// <summary>Options of a world, which do not change.</summary>
public sealed record GceWorldOptions
{
    public string Project { get; init; } = "vpc-lab";

    /// <summary>The project's number, which the metadata server uses instead of its id.</summary>
    public long ProjectNumber { get; init; } = 123_456_789_012;

    /// <summary>Email of the service account of every instance.</summary>
    public string ServiceAccount => $"{ProjectNumber}-compute@developer.gserviceaccount.com";

    /// <summary>Seed of ids and fingerprints.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// Maximum number of alias ranges of an interface. GCE documents no number in its API reference; this is that of its quota page in
    /// 2024.
    /// </summary>
    public int AliasRangesPerInterface { get; init; } = 150;

    /// <summary>Maximum number of custom routes of the project (quota ROUTES).</summary>
    public int Routes { get; init; } = 250;

    /// <summary>Number of calls that the log keeps; its counters count all calls.</summary>
    public int CallLogCapacity { get; init; } = 10_000;
}

/// <summary>Latencies of a world, all zero by default. They can be changed at any time.</summary>
public sealed class GceTiming
{
    /// <summary>Maximum lag of the metadata.</summary>
    public static readonly TimeSpan MaxLag = TimeSpan.FromMinutes(10);

    private TimeSpan _metadataLag;

    /// <summary>How long an operation is pending.</summary>
    public TimeSpan Pending { get; set; }

    /// <summary>How long an operation runs; it takes effect at its end.</summary>
    public TimeSpan Running { get; set; }

    /// <summary>Age of the alias ranges that the metadata server returns.</summary>
    public TimeSpan MetadataLag
    {
        get => _metadataLag;
        set =>
            _metadataLag =
                value >= TimeSpan.Zero && value <= MaxLag
                    ? value
                    : throw new ArgumentOutOfRangeException(nameof(value), value, $"expected a lag between zero and {MaxLag}");
    }
}
