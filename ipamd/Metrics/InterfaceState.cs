// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Metrics;

/// <summary>Use of a network interface, as status and metrics report it.</summary>
internal enum InterfaceState
{
    /// <summary>Its addresses may be assigned to pods.</summary>
    InUse,

    /// <summary>It is being removed.</summary>
    Draining,

    /// <summary>
    /// The primary interface with AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG, which leaves pods to interfaces in the ENIConfig's subnet.
    /// </summary>
    CustomNetworking,

    /// <summary>Its subnet is not for pods: by its tags, or because the ENIConfig names another one.</summary>
    SubnetExcluded,

    /// <summary>The daemon does not manage it.</summary>
    NotForPods,
}

/// <summary>Determines and describes states of interfaces.</summary>
internal static class InterfaceStates
{
    /// <param name="item">The interface.</param>
    /// <param name="usesPrimary">False with custom networking.</param>
    public static InterfaceState Of(InterfaceView item, bool usesPrimary) =>
        item.IsDraining ? InterfaceState.Draining
        : item is { IsExcluded: true, IsPrimary: true } && !usesPrimary ? InterfaceState.CustomNetworking
        : item.IsExcluded ? InterfaceState.SubnetExcluded
        : item.CarriesPods ? InterfaceState.InUse
        : InterfaceState.NotForPods;

    /// <summary>Description in the last column of <c>ipamd status</c>.</summary>
    public static string InWords(this InterfaceState state) =>
        state switch
        {
            InterfaceState.Draining => "draining",
            InterfaceState.CustomNetworking => "no pods (custom networking)",
            InterfaceState.SubnetExcluded => "subnet excluded",
            InterfaceState.InUse => "in use",
            _ => "not for pods",
        };
}
