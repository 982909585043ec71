// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>
/// The codes of the CNI specification (0 to 99, section "Error") and ours (from 100). Code 3 ("container unknown", which tells the runtime
/// that nothing needs to be cleaned up) is never sent: an address may be held for the container from an earlier call, and only its DEL
/// gives it back.
/// </summary>
internal enum CniErrorCode
{
    IncompatibleVersion = 1,
    InvalidEnvironment = 4,
    InputOutput = 5,
    Undecodable = 6,
    InvalidConfiguration = 7,

    /// <summary>Not in the specification's table but in its reference library: the namespace is the plugin's own.</summary>
    InvalidNamespace = 8,
    TryAgainLater = 11,

    /// <summary>STATUS: an ADD cannot be served.</summary>
    NotAvailable = 50,

    /// <summary>The kernel refused a part of the pod's wiring, or it could not be removed.</summary>
    WiringFailed = 100,

    /// <summary>CNI_IFNAME exists in the pod's namespace already, or in another namespace that the container was added with.</summary>
    InterfaceNameTaken = 101,

    /// <summary>CHECK: something that ADD set up is missing or different.</summary>
    CheckFailed = 102,

    /// <summary>ipamd answered with a failure that waiting does not cure, or with nonsense.</summary>
    IpamdFailed = 110,

    /// <summary>ipamd asked for something that this plugin cannot do.</summary>
    NotSupported = 111,

    /// <summary>A defect of the plugin.</summary>
    Internal = 999,
}
