// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using Xunit;

namespace VpcCni.Tests.Shared;

/// <summary>
/// A file of the repository that is made from the code: equal to what the code says, or the test fails. With <c>UPDATE_GENERATED=1</c> it
/// is written instead.
/// </summary>
internal static class GeneratedFile
{
    /// <param name="path">From the root of the repository.</param>
    /// <param name="expected">What the code says.</param>
    /// <param name="here">Leave out.</param>
    public static void Check(string path, string expected, [CallerFilePath] string here = "")
    {
        var file = Path.Combine(Root(here), path);
        if (Environment.GetEnvironmentVariable("UPDATE_GENERATED") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, expected);
            return;
        }

        Assert.True(File.Exists(file), $"{path} is missing; run this test with UPDATE_GENERATED=1");
        Assert.True(
            expected == File.ReadAllText(file),
            $"{path} is not what the code says; run this test with UPDATE_GENERATED=1 and look at the difference"
        );
    }

    /// <summary>A file of the repository that the code or the documentation goes by.</summary>
    public static string Read(string path, [CallerFilePath] string here = "") => File.ReadAllText(Path.Combine(Root(here), path));

    private static string Root(string here)
    {
        var folder = Path.GetDirectoryName(here)!;
        while (!File.Exists(Path.Combine(folder, "VpcCni.sln")))
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException($"{here} is not in the repository");
        return folder;
    }
}
