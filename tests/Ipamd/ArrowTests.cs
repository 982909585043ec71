// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Xunit;

namespace VpcCni.Ipamd.Tests;

/// <summary>ARCHITECTURE.md, "Arrows", held against the sources: components share one assembly, so a test guards their order and not the compiler.</summary>
public sealed partial class ArrowTests
{
    public static TheoryData<string, string[]> Allowed => new()
    {
        { "Ledger", [] },
        { "Cloud", ["Ledger"] },
        { "HostNetwork", ["Netlink"] },
        { "Aws", ["Cloud", "Ledger"] },
        { "WarmPool", ["Cloud", "HostNetwork", "Ledger", "Netlink"] },
        { "MissedDels", ["Ledger", "WarmPool"] },
        { "Audit", ["Cloud", "HostNetwork", "Ledger", "Netlink", "WarmPool"] },
        { "Install", ["Ledger"] },
        { "Kubernetes", ["Cloud", "Ledger", "WarmPool"] },
        { "Options", ["Cloud", "HostNetwork", "Install", "Kubernetes", "Logging", "WarmPool"] },
        { "Observability", ["Cloud", "HostNetwork", "Ledger", "Logging", "WarmPool"] },
        { "Rpc", ["Audit", "Cloud", "HostNetwork", "Ledger", "Observability", "Protos", "WarmPool"] },
        { "Introspection", ["HostNetwork", "Ledger", "Observability", "Options", "WarmPool"] },
        { "WhatIf", ["Aws", "Cloud", "HostNetwork", "Lab", "Ledger", "MissedDels", "Observability", "Options", "WarmPool"] },
        { "Cli", ["Cloud", "HostNetwork", "Install", "Ledger", "MissedDels", "Observability", "Options", "Protos", "WhatIf"] },
    };

    [Theory]
    [MemberData(nameof(Allowed))]
    public void A_component_sees_only_what_the_architecture_allows(string component, string[] allowed)
    {
        var folder = Path.Combine(Sources(), component);
        var files = Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        foreach (var file in files)
        {
            var seen = Ours().Matches(File.ReadAllText(file)).Select(match => match.Groups["name"].Value).Where(name => name != component);
            Assert.All(seen, name => Assert.True(allowed.Contains(name), $"{Path.GetFileName(file)} in {component} uses {name}"));
        }
    }

    [Fact]
    public void Every_component_has_its_arrows_here()
        => Assert.Equal(
            Directory.GetDirectories(Sources()).Select(Path.GetFileName).Where(name => name is not ("bin" or "obj")).Order(StringComparer.Ordinal),
            Allowed.Select(row => row.Data.Item1).Order(StringComparer.Ordinal));

    private static string Sources([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "ipamd"));

    [GeneratedRegex(@"\bVpcCni\.(Ipamd\.)?(?<name>[A-Z]\w+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Ours();
}
