// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// A change of what the network must do: raised in order, synchronously, by the verb (or the transition) that caused it, after the state
/// has changed. A subscriber may read the world but must not call its verbs, and should not throw: its exception reaches the caller of the
/// verb although the change stands.
/// </summary>
public abstract record VpcEvent
{
    private VpcEvent() { }

    /// <summary>Counts from 1 without gaps.</summary>
    public long Sequence { get; init; }

    public DateTimeOffset At { get; init; }

    /// <summary>
    /// The attachment is complete: the guest sees the device now. The interface's other addresses follow in <see cref="AddressesChanged"/>.
    /// </summary>
    public sealed record InterfaceAttached(
        InstanceId Instance,
        EniId Interface,
        int DeviceIndex,
        int NetworkCard,
        string Mac,
        SubnetId Subnet,
        IPAddress PrimaryAddress
    ) : VpcEvent
    {
        /// <summary>See <see cref="InterfaceAttachment.IsPrimary"/>.</summary>
        public bool IsPrimary { get; init; }
    }

    /// <summary>The device is gone from the guest.</summary>
    public sealed record InterfaceDetached(InstanceId Instance, EniId Interface) : VpcEvent;

    /// <summary>
    /// All ranges that belong to the interface now (see <see cref="NetworkInterface.AllRanges"/>); empty when it was deleted.
    /// </summary>
    public sealed record AddressesChanged(EniId Interface, IReadOnlyList<IPNetwork> Ranges) : VpcEvent;

    /// <summary>All ranges of the VPC now.</summary>
    public sealed record RangesChanged(VpcId Vpc, IReadOnlyList<IPNetwork> Ranges) : VpcEvent;

    /// <summary>An instance runs; its primary interface is attached by the next event.</summary>
    public sealed record InstanceLaunched(InstanceId Instance) : VpcEvent;

    /// <summary>An instance ended; its interfaces were detached by the events before.</summary>
    public sealed record InstanceTerminated(InstanceId Instance) : VpcEvent;
}
