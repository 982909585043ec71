// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>Operations that attach interfaces to instances and detach them.</summary>
public sealed partial class VpcWorld
{
    private const int MaxDeviceIndex = 99;

    /// <summary>Starts an attachment, which is complete after <see cref="WorldTiming.AttachLatency"/>.</summary>
    public InterfaceAttachment AttachNetworkInterface(AttachInterfaceRequest request) =>
        Call(
            "AttachNetworkInterface",
            CallKind.Mutating,
            () =>
            {
                var eni = Get(request.Interface);
                var instance = GetInstance(request.Instance);
                if (eni.Attachment is not null)
                    throw Ec2Faults.InterfaceInUse(eni.Id);
                if (instance.State != InstanceState.Running)
                    throw Ec2Faults.IncorrectState(
                        $"The instance '{instance.Id}' is not in a valid state for this operation: it is {InstanceState.Terminated}"
                    );
                if (!string.Equals(eni.Zone, instance.Zone, StringComparison.Ordinal))
                    throw Ec2Faults.BadCombination(
                        "You may not attach a network interface to an instance if they are not in the same availability zone"
                    );

                var type = instance.Type;
                if (type.NetworkCards.FirstOrDefault(candidate => candidate.Index == request.NetworkCard) is not { } card)
                    throw Ec2Faults.BadValue(
                        $"Network card index {request.NetworkCard} is invalid: {type.Name} has {type.NetworkCards.Count} network card(s)"
                    );
                if (request.DeviceIndex is < 0 or > MaxDeviceIndex)
                    throw Ec2Faults.BadValue($"Device index {request.DeviceIndex} is invalid: expected 0 to {MaxDeviceIndex}");
                var attached = InterfacesOf(instance.Id);
                if (
                    attached.Any(other =>
                        other.Attachment!.DeviceIndex == request.DeviceIndex && other.Attachment.NetworkCard == request.NetworkCard
                    )
                )
                    throw Ec2Faults.BadValue(
                        $"Instance '{instance.Id}' already has an interface attached at device index '{request.DeviceIndex}'."
                    );
                if (
                    attached.Count >= type.MaxInterfaces
                    || attached.Count(other => other.Attachment!.NetworkCard == card.Index) >= card.MaxInterfaces
                )
                    throw Ec2Faults.AttachmentLimit(attached.Count + 1, type.Name);
                CheckFits(eni, type);

                var connected = Connect(
                    eni,
                    instance.Id,
                    request.DeviceIndex,
                    request.NetworkCard,
                    deleteOnTermination: false,
                    Timing.AttachLatency
                );
                return connected.Attachment!;
            }
        );

    /// <summary>
    /// Starts a detachment, which is complete after <see cref="WorldTiming.DetachLatency"/>, or at once with <paramref name="force"/>.
    /// </summary>
    public void DetachNetworkInterface(AttachmentId id, bool force = false) =>
        Call(
            "DetachNetworkInterface",
            CallKind.Mutating,
            () =>
            {
                if (!_attachments.TryGetValue(id, out var eniId))
                    throw Ec2Faults.NoSuchAttachment(id.Value);
                var eni = Get(eniId);
                var attachment = eni.Attachment!;
                if (attachment.IsPrimary)
                    throw Ec2Faults.NotPermitted("The network interface at device index 0 and networkCard index 0 cannot be detached.");
                if (attachment.Status == AttachmentStatus.Detaching && !force)
                    throw Ec2Faults.IncorrectState($"The interface attachment '{id}' is already detaching");
                Put(eni with { Attachment = attachment with { Status = AttachmentStatus.Detaching } });
                Schedule(new Transition(eniId, id, AttachmentStatus.Detaching), force ? TimeSpan.Zero : Timing.DetachLatency);
                return true;
            }
        );

    private NetworkInterface Connect(
        NetworkInterface eni,
        InstanceId instance,
        int deviceIndex,
        int networkCard,
        bool deleteOnTermination,
        TimeSpan latency
    )
    {
        var attachment = new InterfaceAttachment
        {
            Id = new AttachmentId(_ids.Next("eni-attach")),
            Instance = instance,
            DeviceIndex = deviceIndex,
            NetworkCard = networkCard,
            Status = AttachmentStatus.Attaching,
            AttachedAt = Now,
            DeleteOnTermination = deleteOnTermination,
            IsPrimary = _instances[instance].PrimaryInterface == eni.Id,
        };
        eni = eni with { Attachment = attachment };
        _attachments.Add(attachment.Id, eni.Id);
        _interfacesOf[instance].Add(eni.Id);
        Put(eni);
        Schedule(new Transition(eni.Id, attachment.Id, AttachmentStatus.Attached), latency);
        return Get(eni.Id);
    }

    private void FinishAttach(NetworkInterface eni, InterfaceAttachment attachment, DateTimeOffset at)
    {
        Put(eni with { Attachment = attachment with { Status = AttachmentStatus.Attached } }, at);
        Raise(
            new VpcEvent.InterfaceAttached(
                attachment.Instance,
                eni.Id,
                attachment.DeviceIndex,
                attachment.NetworkCard,
                eni.Mac,
                eni.Subnet,
                eni.PrimaryAddress
            )
            {
                IsPrimary = attachment.IsPrimary,
            },
            at
        );
        Raise(new VpcEvent.AddressesChanged(eni.Id, eni.AllRanges), at);
    }

    private void FinishDetach(NetworkInterface eni, InterfaceAttachment attachment, DateTimeOffset at)
    {
        Put(eni with { Attachment = null }, at);
        _attachments.Remove(attachment.Id);
        _interfacesOf[attachment.Instance].Remove(eni.Id);
        Raise(new VpcEvent.InterfaceDetached(attachment.Instance, eni.Id), at);
    }

    private static void CheckFits(NetworkInterface eni, InstanceType type)
    {
        if (eni.Ipv4Slots > type.Ipv4PerInterface)
            throw Ec2Faults.AddressLimitOfInstance(eni, type);
        CheckIpv6Fits(eni.Ipv6Slots, type);
        if (eni.Ipv4Prefixes.Length + eni.Ipv6Prefixes.Length > 0)
            CheckPrefixSupport(type);
    }

    private static void CheckIpv6Fits(int slots, InstanceType type)
    {
        if (slots > 0 && !type.SupportsIpv6)
            throw Ec2Faults.Ipv6Unsupported(type);
        if (slots > type.Ipv6PerInterface)
            throw Ec2Faults.Ipv6AddressLimit();
    }

    private static void CheckPrefixSupport(InstanceType type)
    {
        if (!type.SupportsPrefixes)
            throw new Ec2FaultException(
                "UnsupportedOperation",
                $"The instance type {type.Name} does not support IP prefixes: only instances on the Nitro system do"
            );
    }
}
