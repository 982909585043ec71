// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>
/// The codes of the CNI specification (0 to 99, section "Error") and ours (from 100). Code 3 ("container unknown": no clean-up is
/// needed) is never sent: an earlier call may have reserved an address for the container, and only its DEL releases it.
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

    /// <summary>CNI_IFNAME exists in the pod's namespace already, or the container is attached in another namespace.</summary>
    InterfaceNameTaken = 101,

    /// <summary>CHECK: something that ADD set up is missing or different.</summary>
    CheckFailed = 102,

    /// <summary>ipamd failed in a way that a retry does not cure, or sent an invalid reply.</summary>
    IpamdFailed = 110,

    /// <summary>ipamd's reply needs something that this plugin does not support.</summary>
    NotSupported = 111,

    /// <summary>A defect of the plugin.</summary>
    Internal = 999,
}
