// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>
/// Which link a MAC address means. Links stacked on another (vlan, macvlan) and bridges and bonds share the address of what they are
/// stacked on and give way to it; among what remains hardware is preferred to virtual links, and those to veths.
/// </summary>
public static class LinkLookup
{
    /// <summary>None; one; or several that are equally good, so that only their owner can say.</summary>
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
