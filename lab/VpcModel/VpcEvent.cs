// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// A change that the network must follow. The operation (or transition) that caused it raises it synchronously and in order, after the
/// state has changed. A subscriber may read the world but must not call its operations. It should not throw: its exception reaches the
/// caller of the operation although the change has happened.
/// </summary>
public abstract record VpcEvent
{
    private VpcEvent() { }

    /// <summary>Number of the event, from 1 without gaps.</summary>
    public long Sequence { get; init; }

    public DateTimeOffset At { get; init; }

    /// <summary>
    /// An attachment is complete, and the guest sees the device. <see cref="AddressesChanged"/> follows with the interface's other
    /// addresses.
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

    /// <summary>A detachment is complete, and the guest no longer sees the device.</summary>
    public sealed record InterfaceDetached(InstanceId Instance, EniId Interface) : VpcEvent;

    /// <summary>
    /// The interface's ranges have changed to these (see <see cref="NetworkInterface.AllRanges"/>); empty if it was deleted.
    /// </summary>
    public sealed record AddressesChanged(EniId Interface, IReadOnlyList<IPNetwork> Ranges) : VpcEvent;

    /// <summary>The interface's source/destination check was enabled or disabled.</summary>
    public sealed record SourceDestCheckChanged(EniId Interface, bool Enabled) : VpcEvent;

    /// <summary>Routes of the VPC's tables, or the tables that apply to its subnets, have changed.</summary>
    public sealed record RoutesChanged(VpcId Vpc) : VpcEvent;

    /// <summary>The VPC's ranges have changed to these.</summary>
    public sealed record RangesChanged(VpcId Vpc, IReadOnlyList<IPNetwork> Ranges) : VpcEvent;

    /// <summary>An instance was launched. The next event attaches its primary interface.</summary>
    public sealed record InstanceLaunched(InstanceId Instance) : VpcEvent;

    /// <summary>An instance was terminated. The preceding events detached its interfaces.</summary>
    public sealed record InstanceTerminated(InstanceId Instance) : VpcEvent;
}
