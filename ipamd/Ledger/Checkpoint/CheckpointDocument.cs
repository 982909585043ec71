// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>
/// The file's JSON. The part that aws-node reads and writes has its names and its version (<c>vpc-cni-ipam/1</c>), so that a node can be
/// switched over, and back, with pods running. What is ours sits in members named <c>vpccni</c>, which its decoder ignores.
/// </summary>
internal sealed class CheckpointDocument
{
    public const string SupportedVersion = "vpc-cni-ipam/1";

    [JsonPropertyName("version")]
    public string? Version { get; set; }

    [JsonPropertyName("allocations")]
    public List<Allocation>? Allocations { get; set; }

    [JsonPropertyName("vpccni")]
    public Additions? Ours { get; set; }

    /// <summary>
    /// One attachment. <c>ipv4</c> and <c>ipv6</c> are addresses without a prefix length; at least one of them is present.
    /// </summary>
    internal sealed class Allocation
    {
        [JsonPropertyName("networkName")]
        public string? NetworkName { get; set; }

        [JsonPropertyName("containerID")]
        public string? ContainerId { get; set; }

        [JsonPropertyName("ifName")]
        public string? InterfaceName { get; set; }

        [JsonPropertyName("ipv4")]
        public string? Ipv4 { get; set; }

        [JsonPropertyName("ipv6")]
        public string? Ipv6 { get; set; }

        /// <summary>Nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("allocationTimestamp")]
        public long AllocationTimestamp { get; set; }

        [JsonPropertyName("metadata")]
        public Metadata? Metadata { get; set; }

        [JsonPropertyName("vpccni")]
        public AllocationAdditions? Ours { get; set; }
    }

    internal sealed class Metadata
    {
        [JsonPropertyName("k8sPodNamespace")]
        public string? PodNamespace { get; set; }

        [JsonPropertyName("k8sPodName")]
        public string? PodName { get; set; }

        [JsonPropertyName("interfacesCount")]
        public int? InterfacesCount { get; set; }
    }

    /// <summary>Where the address is carried, so that a repeated ADD or a DEL can be answered before the cloud has been asked.</summary>
    internal sealed class AllocationAdditions
    {
        [JsonPropertyName("netns")]
        public string? NetnsPath { get; set; }

        /// <summary>One per address, IPv4 first.</summary>
        [JsonPropertyName("places")]
        public List<Place>? Places { get; set; }

        /// <summary>Since when nothing of it was left in the kernel: nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("unusedSince")]
        public long? UnusedSince { get; set; }
    }

    internal sealed class Place
    {
        [JsonPropertyName("interface")]
        public string? Interface { get; set; }

        [JsonPropertyName("deviceIndex")]
        public int DeviceIndex { get; set; }

        [JsonPropertyName("networkCard")]
        public int NetworkCard { get; set; }
    }

    internal sealed class Additions
    {
        /// <summary>Released addresses and when, so that a restart does not cut their cooldown short.</summary>
        [JsonPropertyName("cooling")]
        public List<Cooling>? Cooling { get; set; }

        /// <summary>When the file was written, by the clock that its times are of: nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("writtenAt")]
        public long? WrittenAt { get; set; }

        /// <summary>The same moment in nanoseconds since boot (CLOCK_MONOTONIC).</summary>
        [JsonPropertyName("sinceBoot")]
        public long? SinceBoot { get; set; }

        /// <summary>/proc/sys/kernel/random/boot_id of the boot in which the file was written.</summary>
        [JsonPropertyName("bootId")]
        public string? BootId { get; set; }

        /// <summary>The pool's targets as NAME=VALUE, separated by spaces.</summary>
        [JsonPropertyName("targets")]
        public string? Targets { get; set; }

        /// <summary>A surplus that other targets left may still be there.</summary>
        [JsonPropertyName("targetsChanging")]
        public bool? TargetsChanging { get; set; }

        /// <summary>Addresses of pods that no interface carried any more.</summary>
        [JsonPropertyName("lost")]
        public List<Lost>? Lost { get; set; }

        /// <summary>Changes of the cloud that had no certain outcome when the file was written.</summary>
        [JsonPropertyName("intents")]
        public List<PendingIntent>? Intents { get; set; }

        /// <summary>
        /// Interfaces for pods and their blocks, as last known: what may be given to pods after a restart while the cloud does not answer.
        /// </summary>
        [JsonPropertyName("interfaces")]
        public List<Interface>? Interfaces { get; set; }

        /// <summary>Blocks that the cloud may still describe although they were given back.</summary>
        [JsonPropertyName("givenBack")]
        public List<Past>? RecentlyReleased { get; set; }

        /// <summary>Interfaces that the cloud may still describe although they were removed.</summary>
        [JsonPropertyName("gone")]
        public List<Past>? RecentlyDetached { get; set; }
    }

    internal sealed class Interface
    {
        [JsonPropertyName("id")]
        public string? Id { get; set; }

        [JsonPropertyName("deviceIndex")]
        public int DeviceIndex { get; set; }

        [JsonPropertyName("networkCard")]
        public int NetworkCard { get; set; }

        [JsonPropertyName("excluded")]
        public bool IsExcluded { get; set; }

        [JsonPropertyName("blocks")]
        public List<string>? Blocks { get; set; }
    }

    /// <summary>One intent; which of the members are present follows from its kind.</summary>
    internal sealed class PendingIntent
    {
        [JsonPropertyName("number")]
        public long Number { get; set; }

        /// <summary>addInterface, assignBlocks, releaseBlocks or removeInterface.</summary>
        [JsonPropertyName("kind")]
        public string? Kind { get; set; }

        /// <summary>Nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("at")]
        public long At { get; set; }

        /// <summary>The same on the clock of the run that wrote this; absent where that is no other.</summary>
        [JsonPropertyName("since")]
        public long? Since { get; set; }

        [JsonPropertyName("interface")]
        public string? Interface { get; set; }

        [JsonPropertyName("attachment")]
        public string? AttachmentId { get; set; }

        [JsonPropertyName("deviceIndex")]
        public int DeviceIndex { get; set; }

        [JsonPropertyName("networkCard")]
        public int NetworkCard { get; set; }

        [JsonPropertyName("token")]
        public string? Token { get; set; }

        [JsonPropertyName("subnet")]
        public string? SubnetId { get; set; }

        [JsonPropertyName("securityGroups")]
        public List<string>? SecurityGroupIds { get; set; }

        /// <summary>A name of <see cref="VpcCni.Ipamd.Ledger.BlockKind"/>.</summary>
        [JsonPropertyName("blockKind")]
        public string? BlockKind { get; set; }

        [JsonPropertyName("count")]
        public int Count { get; set; }

        [JsonPropertyName("blocks")]
        public List<string>? Blocks { get; set; }

        [JsonPropertyName("primaryAddress")]
        public string? PrimaryAddress { get; set; }

        /// <summary>An addition is being undone; a removal is detached.</summary>
        [JsonPropertyName("lastStage")]
        public bool LastStage { get; set; }
    }

    /// <summary>Something that was there until a moment ago: a range, or an interface's id.</summary>
    internal sealed class Past
    {
        [JsonPropertyName("name")]
        public string? Name { get; set; }

        /// <summary>Nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("at")]
        public long At { get; set; }
    }

    internal sealed class Lost
    {
        [JsonPropertyName("address")]
        public string? Address { get; set; }

        /// <summary>The interface that carried it last.</summary>
        [JsonPropertyName("place")]
        public Place? Place { get; set; }

        /// <summary>Nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("at")]
        public long At { get; set; }
    }

    internal sealed class Cooling
    {
        [JsonPropertyName("address")]
        public string? Address { get; set; }

        /// <summary>Nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("releasedAt")]
        public long ReleasedAt { get; set; }
    }
}

// Names are matched without regard to case because the decoder of aws-node does so too.
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(CheckpointDocument))]
internal sealed partial class CheckpointJson : JsonSerializerContext;
