// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime;

namespace Amazon.EC2;

// EC2's open string enumerations in the SDK's form: a class of constants that compares by value, converts from any string, and so carries values that are newer than this file.

/// <summary>State of an attachment.</summary>
public class AttachmentStatus(string value) : ConstantClass(value)
{
    public static readonly AttachmentStatus Attached = new("attached");
    public static readonly AttachmentStatus Attaching = new("attaching");
    public static readonly AttachmentStatus Detached = new("detached");
    public static readonly AttachmentStatus Detaching = new("detaching");

    public static AttachmentStatus FindValue(string value) => FindValue<AttachmentStatus>(value);

    public static implicit operator AttachmentStatus(string value) => FindValue(value);
}

/// <summary>State of a network interface.</summary>
public class NetworkInterfaceStatus(string value) : ConstantClass(value)
{
    public static readonly NetworkInterfaceStatus Associated = new("associated");
    public static readonly NetworkInterfaceStatus Attaching = new("attaching");
    public static readonly NetworkInterfaceStatus Available = new("available");
    public static readonly NetworkInterfaceStatus Detaching = new("detaching");
    public static readonly NetworkInterfaceStatus InUse = new("in-use");
    public static readonly NetworkInterfaceStatus Pending = new("pending");

    public static NetworkInterfaceStatus FindValue(string value) => FindValue<NetworkInterfaceStatus>(value);

    public static implicit operator NetworkInterfaceStatus(string value) => FindValue(value);
}

/// <summary>What a network interface is for, as described. Only those that a node can meet are named.</summary>
public class NetworkInterfaceType(string value) : ConstantClass(value)
{
    public static readonly NetworkInterfaceType Branch = new("branch");
    public static readonly NetworkInterfaceType Efa = new("efa");
    public static readonly NetworkInterfaceType EfaOnly = new("efa-only");
    public static readonly NetworkInterfaceType Interface = new("interface");
    public static readonly NetworkInterfaceType Trunk = new("trunk");

    public static NetworkInterfaceType FindValue(string value) => FindValue<NetworkInterfaceType>(value);

    public static implicit operator NetworkInterfaceType(string value) => FindValue(value);
}

/// <summary>What a network interface is created for.</summary>
public class NetworkInterfaceCreationType(string value) : ConstantClass(value)
{
    public static readonly NetworkInterfaceCreationType Branch = new("branch");
    public static readonly NetworkInterfaceCreationType Efa = new("efa");
    public static readonly NetworkInterfaceCreationType EfaOnly = new("efa-only");
    public static readonly NetworkInterfaceCreationType Trunk = new("trunk");

    public static NetworkInterfaceCreationType FindValue(string value) => FindValue<NetworkInterfaceCreationType>(value);

    public static implicit operator NetworkInterfaceCreationType(string value) => FindValue(value);
}

/// <summary>The kind of thing that a tag specification is for.</summary>
public class ResourceType(string value) : ConstantClass(value)
{
    public static readonly ResourceType Instance = new("instance");
    public static readonly ResourceType NetworkInterface = new("network-interface");
    public static readonly ResourceType Subnet = new("subnet");
    public static readonly ResourceType Vpc = new("vpc");

    public static ResourceType FindValue(string value) => FindValue<ResourceType>(value);

    public static implicit operator ResourceType(string value) => FindValue(value);
}

/// <summary>State of a subnet.</summary>
public class SubnetState(string value) : ConstantClass(value)
{
    public static readonly SubnetState Available = new("available");
    public static readonly SubnetState Pending = new("pending");
    public static readonly SubnetState Unavailable = new("unavailable");

    public static SubnetState FindValue(string value) => FindValue<SubnetState>(value);

    public static implicit operator SubnetState(string value) => FindValue(value);
}

/// <summary>State of a subnet's IPv6 range.</summary>
public class SubnetCidrBlockStateCode(string value) : ConstantClass(value)
{
    public static readonly SubnetCidrBlockStateCode Associated = new("associated");
    public static readonly SubnetCidrBlockStateCode Associating = new("associating");
    public static readonly SubnetCidrBlockStateCode Disassociated = new("disassociated");
    public static readonly SubnetCidrBlockStateCode Disassociating = new("disassociating");
    public static readonly SubnetCidrBlockStateCode Failed = new("failed");
    public static readonly SubnetCidrBlockStateCode Failing = new("failing");

    public static SubnetCidrBlockStateCode FindValue(string value) => FindValue<SubnetCidrBlockStateCode>(value);

    public static implicit operator SubnetCidrBlockStateCode(string value) => FindValue(value);
}

/// <summary>State of an instance.</summary>
public class InstanceStateName(string value) : ConstantClass(value)
{
    public static readonly InstanceStateName Pending = new("pending");
    public static readonly InstanceStateName Running = new("running");
    public static readonly InstanceStateName ShuttingDown = new("shutting-down");
    public static readonly InstanceStateName Stopped = new("stopped");
    public static readonly InstanceStateName Stopping = new("stopping");
    public static readonly InstanceStateName Terminated = new("terminated");

    public static InstanceStateName FindValue(string value) => FindValue<InstanceStateName>(value);

    public static implicit operator InstanceStateName(string value) => FindValue(value);
}

/// <summary>Name of an instance type, e.g. <c>m5.large</c>. The official package names about 1,400 of them; here each is made from its string.</summary>
public class InstanceType(string value) : ConstantClass(value)
{
    public static InstanceType FindValue(string value) => FindValue<InstanceType>(value);

    public static implicit operator InstanceType(string value) => FindValue(value);
}

/// <summary>The virtualization under an instance type; absent for bare metal.</summary>
public class InstanceTypeHypervisor(string value) : ConstantClass(value)
{
    public static readonly InstanceTypeHypervisor Nitro = new("nitro");
    public static readonly InstanceTypeHypervisor Xen = new("xen");

    public static InstanceTypeHypervisor FindValue(string value) => FindValue<InstanceTypeHypervisor>(value);

    public static implicit operator InstanceTypeHypervisor(string value) => FindValue(value);
}
