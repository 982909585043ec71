// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.VpcModel;

/// <summary>Text of states and hypervisors in the EC2 API.</summary>
public static class EnumText
{
    public static string Of(AttachmentStatus status) =>
        status switch
        {
            AttachmentStatus.Attaching => "attaching",
            AttachmentStatus.Attached => "attached",
            AttachmentStatus.Detaching => "detaching",
            _ => throw new ArgumentOutOfRangeException(nameof(status), status, "unknown attachment status"),
        };

    public static string Of(InstanceState state) =>
        state switch
        {
            InstanceState.Running => "running",
            InstanceState.Terminated => "terminated",
            _ => throw new ArgumentOutOfRangeException(nameof(state), state, "unknown instance state"),
        };

    public static string Of(RouteState state) =>
        state switch
        {
            RouteState.Active => "active",
            RouteState.Blackhole => "blackhole",
            _ => throw new ArgumentOutOfRangeException(nameof(state), state, "unknown route state"),
        };

    public static string Of(Hypervisor hypervisor) =>
        hypervisor switch
        {
            Hypervisor.Nitro => "nitro",
            Hypervisor.Xen => "xen",
            _ => throw new ArgumentOutOfRangeException(nameof(hypervisor), hypervisor, "bare metal has no hypervisor"),
        };

    /// <summary>Status of an interface: <c>in-use</c> from the start of its attachment until its detachment is complete.</summary>
    public static string StatusOf(NetworkInterface eni) => eni.Attachment is null ? "available" : "in-use";
}
