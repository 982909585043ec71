// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>
/// Selects the link that owns a MAC address. Links stacked on another link (vlan, macvlan), bridges and bonds share the address of a lower
/// link, which takes precedence. Among the others, hardware precedes virtual links, and virtual links precede veths.
/// </summary>
public static class LinkLookup
{
    /// <summary>Returns the links that own the address: none, one, or several of the same precedence.</summary>
    public static IReadOnlyList<LinkInfo> Of(MacAddress mac, IEnumerable<LinkInfo> links)
    {
        List<LinkInfo> found = [.. links.Where(link => link.Mac == mac)];
        if (found.Count > 1 && found.Exists(IsOwner))
            found.RemoveAll(link => !IsOwner(link));
        if (found.Count > 1)
        {
            int best = found.Min(Rank);
            found.RemoveAll(link => Rank(link) != best);
        }

        return found;
    }

    private static bool IsOwner(LinkInfo link) => link.ParentIndex is null && link.Kind is not ("bridge" or "bond" or "team");

    private static int Rank(LinkInfo link) =>
        link.Kind switch
        {
            null => 0,
            "veth" => 2,
            _ => 1,
        };
}
