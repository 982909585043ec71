// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Ledger;

/// <summary>
/// The cloud's id of a network interface, such as <c>eni-0a1b2c3d4e5f60718</c>. Opaque: only the cloud that issued it may parse it.
/// </summary>
internal readonly record struct NetworkInterfaceId(string Value)
{
    public override string ToString() => Value;
}
