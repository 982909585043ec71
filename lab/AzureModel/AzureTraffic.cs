// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.AzureModel;

/// <summary>Group of a method, which selects its rate limit.</summary>
public enum AzureCallKind
{
    Read,
    Write,
}

/// <summary>Latencies of a world. They can be changed at any time.</summary>
public sealed class AzureTiming
{
    /// <summary>Maximum lag of the metadata.</summary>
    public static readonly TimeSpan MaxLag = TimeSpan.FromMinutes(10);

    private TimeSpan _metadataLag;

    /// <summary>How long an operation takes; zero by default. It takes effect at its end.</summary>
    public TimeSpan Operation { get; set; }

    /// <summary>How long clients are told to wait between polls. Azure's network resources say 10 s.</summary>
    public TimeSpan RetryAfter { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Age of the interfaces that the metadata service returns.</summary>
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

/// <summary>Options of a world, which do not change.</summary>
public sealed record AzureWorldOptions
{
    public string Subscription { get; init; } = "00000000-0000-4000-8000-000000000001";
    public string ResourceGroup { get; init; } = "vpc-lab";
    public string Location { get; init; } = "westeurope";

    /// <summary>Seed of ids, tags and MAC addresses.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// Maximum number of IP configurations of an interface
    /// (https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#networking-limits).
    /// </summary>
    public int ConfigurationsPerInterface { get; init; } = 256;

    /// <summary>Maximum number of routes of a table (the same page).</summary>
    public int RoutesPerTable { get; init; } = 400;

    /// <summary>Whether the subscription has the preview of blocks of 16 addresses.</summary>
    public bool HasPrefixes { get; init; } = true;

    /// <summary>Number of calls that the log keeps; its counters count all calls.</summary>
    public int CallLogCapacity { get; init; } = 10_000;
}
