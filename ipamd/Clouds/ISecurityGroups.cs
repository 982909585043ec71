// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds;

/// <summary>Security groups of interfaces.</summary>
internal interface ISecurityGroups
{
    /// <summary>
    /// Returns the primary interface's security groups from the instance metadata, without a control-plane call. Only a hint (see <see
    /// cref="INodeCloud.HintAttachedInterfacesAsync"/>).
    /// </summary>
    Task<IReadOnlyList<string>> HintSecurityGroupsAsync(CancellationToken cancellationToken);

    /// <summary>Replaces the interface's security groups. Idempotent.</summary>
    Task SetSecurityGroupsAsync(NetworkInterfaceId id, IReadOnlyList<string> securityGroupIds, CancellationToken cancellationToken);
}
