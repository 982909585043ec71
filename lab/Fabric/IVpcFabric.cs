// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// What a VPC asks of the network under it. Every method returns at once, only notes the wanted state, may be called from any thread, and
/// is idempotent. Served by <see cref="VpcFabric"/> in a lab, and by nothing at all where only the API is needed.
/// </summary>
internal interface IVpcFabric
{
    /// <summary>The link of this ENI exists in its node.</summary>
    void Attach(EniAttachment eni);

    /// <summary>The link of this ENI is gone.</summary>
    void Detach(string eniId);

    /// <summary>
    /// The ENI owns exactly these addresses and prefixes. Ignored for one that is not attached: <see cref="Attach"/> brings its own list.
    /// </summary>
    void SetAddresses(string eniId, IReadOnlyList<IPNetwork> addresses);

    /// <summary>The VPC has exactly these ranges.</summary>
    void SetRanges(IReadOnlyList<IPNetwork> ranges);
}
