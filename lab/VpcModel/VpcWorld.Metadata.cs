// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>What an instance's metadata service knows: the instance, its VPC, and its interfaces with their subnets.</summary>
public sealed record InstanceMetadata
{
    public required Instance Instance { get; init; }
    public required Vpc Vpc { get; init; }

    /// <summary>Attached ones only, by card and device index.</summary>
    public required IReadOnlyList<(NetworkInterface Interface, Subnet Subnet)> Interfaces { get; init; }
    public required IReadOnlyDictionary<SecurityGroupId, SecurityGroup> Groups { get; init; }

    /// <summary>Null when the metadata misses it, which an injected failure can make happen.</summary>
    public NetworkInterface? Primary =>
        Interfaces.Select(pair => pair.Interface).FirstOrDefault(eni => eni.Attachment is { IsPrimary: true });
}

/// <summary>
/// The instance metadata's view, as the world was <see cref="WorldTiming.MetadataLag"/> ago. Not an API call: neither throttled nor logged.
/// </summary>
public sealed partial class VpcWorld
{
    /// <summary>Null for an instance that does not run.</summary>
    public InstanceMetadata? DescribeMetadata(InstanceId id)
    {
        Settle();
        if (FindInstance(id) is not { State: InstanceState.Running } instance)
            return null;
        var interfaces = _interfaces
            .Keys.Where(eni => !Faults.HiddenFromMetadata.Contains(eni))
            .Select(eni => SeenAfter(eni, Timing.MetadataLag))
            .Where(eni => eni?.Attachment is { Status: not AttachmentStatus.Attaching } attachment && attachment.Instance == id)
            .Select(eni => (eni!, _subnets[eni!.Subnet].Subnet))
            .OrderBy(pair => pair.Item1.Attachment!.NetworkCard)
            .ThenBy(pair => pair.Item1.Attachment!.DeviceIndex);
        return new InstanceMetadata
        {
            Instance = instance,
            Vpc = _vpcs[instance.Vpc],
            Interfaces = [.. interfaces],
            Groups = _groups,
        };
    }
}
