// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// Every name that a lab gives to something on the machine. All of them start with <c>vpclab-LAB-</c>, so that a lab finds its own
/// leftovers after a crash and never touches what is not its own.
/// </summary>
internal sealed class FabricNames
{
    /// <summary>A lab's name is part of namespace names and of Unix socket paths (108 bytes in all), so it is short.</summary>
    public const int MaxLabNameLength = 16;

    /// <summary>IFNAMSIZ - 1 of linux/if.h.</summary>
    private const int MaxLinkNameLength = 15;

    private const string CommonPrefix = "vpclab-";

    public FabricNames(string lab)
    {
        if (Problem(lab) is { } problem)
            throw new FabricException(problem);
        Lab = lab;
        Prefix = $"{CommonPrefix}{lab}-";
    }

    public string Lab { get; }

    /// <summary>Start of the name of every namespace of this lab.</summary>
    public string Prefix { get; }

    public string Router => Prefix + "router";

    public string Internet => Prefix + "internet";

    public string OnPremises => Prefix + "onprem";

    public string Node(string node) => Prefix + node;

    public string Pod(string podNamespace, string pod) => $"{Prefix}pod.{podNamespace}.{pod}";

    /// <summary>What is wrong with a lab's name, or null.</summary>
    public static string? Problem(string lab) =>
        lab.Length is > 0 and <= MaxLabNameLength && lab.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c))
            ? null
            : $"lab name '{lab}' is not usable: expected 1 to {MaxLabNameLength} lower-case letters and digits";

    /// <summary>
    /// The router's end of an ENI: <c>v</c> and the last 14 digits of the id, which is what fits a link name. EC2's ids are 17 random
    /// digits.
    /// </summary>
    public static string RouterLink(string eniId)
    {
        var digits = eniId.AsSpan(eniId.LastIndexOf('-') + 1);
        var name = new StringBuilder("v", MaxLinkNameLength)
            .Append(digits.Length <= MaxLinkNameLength - 1 ? digits : digits[^(MaxLinkNameLength - 1)..])
            .ToString();
        if (name.Length < 2 || !name.All(char.IsAsciiLetterOrDigit))
            throw new FabricException($"ENI id '{eniId}' cannot name a link: expected eni- and hexadecimal digits");
        return name;
    }

    /// <summary>
    /// The node's end of an ENI: the primary is <c>eth0</c>, the others are named after a PCI slot as Amazon Linux 2023 does.
    /// </summary>
    public static string NodeLink(int deviceIndex, int networkCard) =>
        (deviceIndex, networkCard) switch
        {
            (0, 0) => "eth0",
            (_, 0) => $"ens{5 + deviceIndex}",
            _ => $"enp{networkCard}s{5 + deviceIndex}",
        };
}
