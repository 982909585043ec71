// SPDX-License-Identifier: Apache-2.0
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

/// <summary>Compares a screen with a file beside the tests, so that a review shows each change.</summary>
internal static class GoldenScreen
{
    private const int Columns = 80;

    public static void Check(string name, string text)
    {
        Assert.All(text.Split('\n'), line => Assert.True(line.Length <= Columns, $"{line.Length} columns: {line}"));
        GeneratedFile.Check($"tests/Ipamd/Cli/Screens/{name}.txt", text);
    }
}
