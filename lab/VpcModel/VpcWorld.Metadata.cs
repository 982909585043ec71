// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>The content of an instance's metadata: the instance, its VPC, and its interfaces with their subnets.</summary>
public sealed record InstanceMetadata
{
    public required Instance Instance { get; init; }
    public required Vpc Vpc { get; init; }

    /// <summary>The attached interfaces, ordered by card and device index.</summary>
    public required IReadOnlyList<(NetworkInterface Interface, Subnet Subnet)> Interfaces { get; init; }
    public required IReadOnlyDictionary<SecurityGroupId, SecurityGroup> Groups { get; init; }

    /// <summary>The primary interface; null if an injected fault hides it.</summary>
    public NetworkInterface? Primary =>
        Interfaces.Select(pair => pair.Interface).FirstOrDefault(eni => eni.Attachment is { IsPrimary: true });
}

/// <summary>
/// The instance metadata, <see cref="WorldTiming.MetadataLag"/> behind. Reading it is not an API call: it is neither throttled nor logged.
/// </summary>
public sealed partial class VpcWorld
{
    /// <summary>Returns an instance's metadata; null if the instance is not running.</summary>
    public InstanceMetadata? DescribeMetadata(InstanceId id)
    {
        CompleteDueTransitions();
        if (FindInstance(id) is not { State: InstanceState.Running } instance)
            return null;
        var interfaces = _interfaces
            .Keys.Where(eni => !Faults.HiddenFromMetadata.Contains(eni))
            .Select(eni => FindAsOf(eni, Timing.MetadataLag))
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
