// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>
/// The file's JSON. Names and version (<c>vpc-cni-ipam/1</c>) of the common part are those of aws-node, so that a node can be switched
/// over, and back, with pods running. Additions are in members named <c>vpccni</c>, which the decoder of aws-node ignores.
/// </summary>
internal sealed class CheckpointDocument
{
    public const string SupportedVersion = "vpc-cni-ipam/1";

    [JsonPropertyName("version")]
    public string? Version { get; set; }

    [JsonPropertyName("allocations")]
    public List<Allocation>? Allocations { get; set; }

    [JsonPropertyName("vpccni")]
    public DocumentExtension? Extension { get; set; }

    /// <summary>One attachment. <c>ipv4</c> and <c>ipv6</c> are addresses without a prefix length; at least one is present.</summary>
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
        public AllocationExtension? Extension { get; set; }
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

    /// <summary>The interfaces of the addresses, so that a repeated ADD or a DEL is answered before the cloud is.</summary>
    internal sealed class AllocationExtension
    {
        [JsonPropertyName("netns")]
        public string? NetnsPath { get; set; }

        /// <summary>One per address of the first interface, all the same.</summary>
        [JsonPropertyName("places")]
        public List<SlotEntry>? Slots { get; set; }

        /// <summary>Since when the kernel showed no use of the attachment: nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("unusedSince")]
        public long? UnusedSince { get; set; }

        /// <summary>The pod's interfaces after the first.</summary>
        [JsonPropertyName("moreInterfaces")]
        public List<PodInterfaceEntry>? MoreInterfaces { get; set; }
    }

    internal sealed class PodInterfaceEntry
    {
        [JsonPropertyName("name")]
        public string? Name { get; set; }

        /// <summary>One or two.</summary>
        [JsonPropertyName("addresses")]
        public List<string>? Addresses { get; set; }

        [JsonPropertyName("place")]
        public SlotEntry? Slot { get; set; }
    }

    internal sealed class SlotEntry
    {
        [JsonPropertyName("interface")]
        public string? Interface { get; set; }

        [JsonPropertyName("deviceIndex")]
        public int DeviceIndex { get; set; }

        [JsonPropertyName("networkCard")]
        public int NetworkCard { get; set; }
    }

    internal sealed class DocumentExtension
    {
        /// <summary>Released addresses and when, so that a restart does not shorten their cooldown.</summary>
        [JsonPropertyName("cooling")]
        public List<Cooling>? Cooling { get; set; }

        /// <summary>When the file was written, on the clock of its times: nanoseconds since the Unix epoch.</summary>
        [JsonPropertyName("writtenAt")]
        public long? WrittenAt { get; set; }

        /// <summary>The same moment in nanoseconds since boot (CLOCK_MONOTONIC).</summary>
        [JsonPropertyName("sinceBoot")]
        public long? SinceBoot { get; set; }

        /// <summary>/proc/sys/kernel/random/boot_id at the time of writing.</summary>
        [JsonPropertyName("bootId")]
        public string? BootId { get; set; }

        /// <summary>The pool's targets as NAME=VALUE pairs, separated by spaces.</summary>
        [JsonPropertyName("targets")]
        public string? Targets { get; set; }

        /// <summary>Whether a surplus from earlier targets may still be attached.</summary>
        [JsonPropertyName("targetsChanging")]
        public bool? TargetsChanging { get; set; }

        /// <summary>Pod addresses on no interface.</summary>
        [JsonPropertyName("lost")]
        public List<Lost>? Lost { get; set; }

        /// <summary>Changes of the cloud without a certain outcome at the time of writing.</summary>
        [JsonPropertyName("intents")]
        public List<PendingIntent>? Intents { get; set; }

        /// <summary>Interfaces for pods and their blocks: assignable after a restart while the cloud does not answer.</summary>
        [JsonPropertyName("interfaces")]
        public List<Interface>? Interfaces { get; set; }

        /// <summary>Recently released blocks, which the cloud may still describe.</summary>
        [JsonPropertyName("givenBack")]
        public List<RecentChange>? RecentlyReleased { get; set; }

        /// <summary>Recently detached interfaces, which the cloud may still describe.</summary>
        [JsonPropertyName("gone")]
        public List<RecentChange>? RecentlyDetached { get; set; }
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

    /// <summary>One intent; its kind determines which members are present.</summary>
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

        /// <summary>The same time on the clock of the writing daemon run; absent when equal.</summary>
        [JsonPropertyName("since")]
        public long? Since { get; set; }

        [JsonPropertyName("interface")]
        public string? Interface { get; set; }

        /// <summary>Of the cloud's adapter; named after what that of AWS keeps, the attachment's id.</summary>
        [JsonPropertyName("attachment")]
        public string? Progress { get; set; }

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

        /// <summary>The requested blocks, at most one entry of each family.</summary>
        [JsonPropertyName("requests")]
        public List<BlockRequestEntry>? Requests { get; set; }

        /// <summary>As <see cref="Requests"/>, in files of earlier versions: a name such as Ipv4Prefix.</summary>
        [JsonPropertyName("blockKind")]
        public string? BlockKind { get; set; }

        /// <summary>The number to <see cref="BlockKind"/>.</summary>
        [JsonPropertyName("count")]
        public int? Count { get; set; }

        [JsonPropertyName("blocks")]
        public List<string>? Blocks { get; set; }

        [JsonPropertyName("primaryAddress")]
        public string? PrimaryAddress { get; set; }

        /// <summary>created, attached, undoing or detached; absent before any of them, and in files of earlier versions.</summary>
        [JsonPropertyName("stage")]
        public string? Stage { get; set; }

        /// <summary>Whether an addition is being undone, or a removal is detached; from which earlier versions take the stage.</summary>
        [JsonPropertyName("lastStage")]
        public bool LastStage { get; set; }
    }

    internal sealed class BlockRequestEntry
    {
        /// <summary>4 or 6.</summary>
        [JsonPropertyName("ipVersion")]
        public int IpVersion { get; set; }

        [JsonPropertyName("prefixLength")]
        public int PrefixLength { get; set; }

        [JsonPropertyName("count")]
        public int Count { get; set; }
    }

    /// <summary>A recently removed range or interface id.</summary>
    internal sealed class RecentChange
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
        public SlotEntry? Slot { get; set; }

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

// Names are matched case-insensitively because the decoder of aws-node does so.
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(CheckpointDocument))]
internal sealed partial class CheckpointJson : JsonSerializerContext;
