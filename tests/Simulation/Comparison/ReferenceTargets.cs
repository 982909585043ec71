// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.VpcModel;

namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>
/// The targets of the AWS VPC CNI, version 1.23.1, and its formulas. Blocks are secondary addresses or prefixes, by the mode.
/// </summary>
/// <param name="UsesPrefixes">ENABLE_PREFIX_DELEGATION.</param>
/// <param name="WarmIp">WARM_IP_TARGET; 0 is unset.</param>
/// <param name="MinimumIp">MINIMUM_IP_TARGET; 0 is unset.</param>
/// <param name="WarmEni">WARM_ENI_TARGET.</param>
/// <param name="WarmPrefix">WARM_PREFIX_TARGET.</param>
/// <param name="MaxEnis">The instance type's limit, or MAX_ENI when lower.</param>
/// <param name="MaxPods">A pool with this many addresses does not grow.</param>
internal sealed record ReferenceTargets(bool UsesPrefixes, int WarmIp, int MinimumIp, int WarmEni, int WarmPrefix, int MaxEnis, int MaxPods)
{
    private const int PrefixSize = 16;

    private bool IsDefined => WarmIp != 0 || MinimumIp != 0;

    public static ReferenceTargets Of(IReadOnlyDictionary<string, string> environment, InstanceType type)
    {
        int Number(string name, int otherwise) => environment.TryGetValue(name, out var value) ? int.Parse(value) : otherwise;
        return new ReferenceTargets(
            environment.GetValueOrDefault("ENABLE_PREFIX_DELEGATION") == "true",
            Number("WARM_IP_TARGET", 0),
            Number("MINIMUM_IP_TARGET", 0),
            Number("WARM_ENI_TARGET", 1),
            Number("WARM_PREFIX_TARGET", 1),
            Math.Min(Number("MAX_ENI", int.MaxValue), type.NetworkCards[0].MaxInterfaces),
            Number("VPCCNI_MAX_PODS", type.MaxPodsWithSecondaryAddresses)
        );
    }

    public bool IsLow(int total, int assigned, int slotsPerEni)
    {
        if (total >= MaxPods)
            return false;
        var available = total - assigned;
        if (IsDefined)
            return Missing(total, assigned) > 0;
        var warm = UsesPrefixes ? WarmPrefix * PrefixSize : WarmEni * slotsPerEni;
        return available < warm || (warm == 0 && available == 0);
    }

    /// <summary>Number of blocks to add when the pool is low.</summary>
    public int ToAdd(int total, int assigned, int freePrefixes, int slotsPerEni)
    {
        if (!UsesPrefixes)
            return IsDefined ? Missing(total, assigned) : slotsPerEni;
        return Math.Max(IsDefined ? InPrefixes(Missing(total, assigned)) : WarmPrefix - freePrefixes, 1);
    }

    /// <summary>Number of blocks to release when the pool is not low.</summary>
    public int ToRemove(int total, int assigned, int prefixes, int freePrefixes)
    {
        if (!UsesPrefixes)
            return IsDefined ? Math.Max(Math.Min(total - assigned - WarmIp, total - MinimumIp), 0) : 0;
        if (!IsDefined)
            return Math.Max(freePrefixes - WarmPrefix, 0);
        return Math.Max(Math.Min(freePrefixes, Math.Min(prefixes - InPrefixes(assigned + WarmIp), prefixes - InPrefixes(MinimumIp))), 0);
    }

    /// <summary>Whether an unused interface is searched for.</summary>
    public bool MayRemoveEni(int available, int slotsPerEni) => IsDefined || UsesPrefixes || available >= (WarmEni + 1) * slotsPerEni;

    /// <summary>Whether the other interfaces meet the targets without an unused one.</summary>
    public bool AreMetWithout(int total, int assigned, int freePrefixes)
    {
        int Rounded(int addresses) => UsesPrefixes ? InPrefixes(addresses) * PrefixSize : addresses;
        return total - assigned >= Rounded(WarmIp) && total >= Rounded(MinimumIp) && (!UsesPrefixes || freePrefixes >= WarmPrefix);
    }

    private int Missing(int total, int assigned) => Math.Max(Math.Max(WarmIp - (total - assigned), MinimumIp - total), 0);

    private static int InPrefixes(int addresses) => (addresses + PrefixSize - 1) / PrefixSize;
}
