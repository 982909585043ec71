// SPDX-License-Identifier: Apache-2.0
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

/// <summary>A screen as people see it, kept beside the tests: a change of it is looked at, not noticed later.</summary>
internal static class GoldenScreen
{
    private const int Columns = 80;

    public static void Check(string name, string text)
    {
        Assert.All(text.Split('\n'), line => Assert.True(line.Length <= Columns, $"{line.Length} columns: {line}"));
        GeneratedFile.Check($"tests/Ipamd/Cli/Screens/{name}.txt", text);
    }
}
