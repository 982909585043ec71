// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Tests.Shared;

/// <summary>
/// What a test needs of the machine (root, a kernel feature, a peer program). Missing, the test is skipped visibly; with
/// <c>REQUIRE_ALL=1</c> it fails, so that CI cannot turn green by having nothing installed.
/// </summary>
internal static class Requirement
{
    public static bool AllRequired => Environment.GetEnvironmentVariable("REQUIRE_ALL") == "1";

    public static bool IsRoot => Environment.IsPrivilegedProcess;

    public static void Need(bool present, string what)
    {
        if (present)
            return;
        if (AllRequired)
            Assert.Fail($"REQUIRE_ALL=1, but this machine lacks: {what}");
        Assert.Skip($"needs {what}");
    }

    public static void NeedRoot() => Need(IsRoot, "root (network namespaces)");

    /// <summary>A program on PATH.</summary>
    public static string NeedProgram(string name)
    {
        var path = (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(':')
            .Select(folder => Path.Combine(folder, name))
            .FirstOrDefault(File.Exists);
        Need(path is not null, $"the program '{name}'");
        return path!;
    }
}
