// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// Names of a lab's namespaces and links. Namespace names start with <c>vpclab-LAB-</c>, so that a lab can find its own after a crash and
/// never touches others.
/// </summary>
internal sealed class FabricNames
{
    /// <summary>Maximum length of a lab's name, which is part of Unix socket paths (at most 108 bytes).</summary>
    public const int MaxLabNameLength = 16;

    /// <summary>IFNAMSIZ - 1 (linux/if.h).</summary>
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

    /// <summary>Prefix of the names of this lab's namespaces.</summary>
    public string Prefix { get; }

    public string Router => Prefix + "router";

    public string Internet => Prefix + "internet";

    public string OnPremises => Prefix + "onprem";

    public string Node(string node) => Prefix + node;

    public string Pod(string podNamespace, string pod) => $"{Prefix}pod.{podNamespace}.{pod}";

    /// <summary>Describes what is wrong with a lab's name; null if it is valid.</summary>
    public static string? Problem(string lab) =>
        lab.Length is > 0 and <= MaxLabNameLength && lab.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c))
            ? null
            : $"invalid lab name '{lab}': expected 1 to {MaxLabNameLength} lower-case letters and digits";

    /// <summary>
    /// Name of the router's end of an interface's link: <c>v</c> and the last 14 digits of the interface's id, to fit a link name. An id
    /// ends with random digits, 17 on EC2.
    /// </summary>
    public static string RouterLink(string interfaceId)
    {
        var digits = interfaceId.AsSpan(interfaceId.LastIndexOf('-') + 1);
        var name = new StringBuilder("v", MaxLinkNameLength)
            .Append(digits.Length <= MaxLinkNameLength - 1 ? digits : digits[^(MaxLinkNameLength - 1)..])
            .ToString();
        if (name.Length < 2 || !name.All(char.IsAsciiLetterOrDigit))
            throw new FabricException(
                $"cannot derive a link name from interface id '{interfaceId}': expected hexadecimal digits after the last hyphen"
            );
        return name;
    }

    /// <summary>
    /// Name of the node's end of an interface's link: <c>eth0</c> for the slot (0, 0), otherwise a PCI slot name as on Amazon Linux 2023.
    /// </summary>
    public static string NodeLink(int deviceIndex, int networkCard) =>
        (deviceIndex, networkCard) switch
        {
            (0, 0) => "eth0",
            (_, 0) => $"ens{5 + deviceIndex}",
            _ => $"enp{networkCard}s{5 + deviceIndex}",
        };
}
