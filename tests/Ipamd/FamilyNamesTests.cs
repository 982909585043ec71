// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Xunit;

namespace VpcCni.Ipamd.Tests;

/// <summary>
/// The two address families have one pair of names in all programs and tests, <c>IpFamily.V4</c> and <c>IpFamily.V6</c>. The framework's
/// are for the creation of sockets.
/// </summary>
public sealed partial class FamilyNamesTests
{
    /// <summary>Files and folders that use the framework's names, and why.</summary>
    private static readonly (string Path, string Reason)[] Allowed =
    [
        ("netlink/Addresses/IpFamily.cs", "defines the names"),
        ("lab/VpcModel/", "shares no code with what it tests"),
        ("lab/ModelParts/", "as VpcModel"),
        ("lab/GceModel/", "as VpcModel"),
        ("lab/AzureModel/", "as VpcModel"),
    ];

    [Fact]
    public void Families_are_named_as_in_IpFamily()
    {
        var files = SourceFiles().Where(file => !Allowed.Any(allowed => file.StartsWith(allowed.Path, StringComparison.Ordinal))).ToArray();
        Assert.True(files.Length > 500, $"{files.Length} files below {Root()}");
        Assert.All(
            files,
            file =>
            {
                var found = FrameworkName().Match(File.ReadAllText(Path.Combine(Root(), file)));
                Assert.False(found.Success, $"{file} has {found.Value}: expected IpFamily.V4 or IpFamily.V6");
            }
        );
    }

    [Fact]
    public void Exceptions_are_needed() =>
        Assert.All(
            Allowed,
            allowed =>
                Assert.True(
                    SourceFiles()
                        .Where(file => file.StartsWith(allowed.Path, StringComparison.Ordinal))
                        .Any(file => FrameworkName().IsMatch(File.ReadAllText(Path.Combine(Root(), file)))),
                    $"{allowed.Path} ({allowed.Reason}) needs no exception"
                )
        );

    [Theory]
    [InlineData("family == AddressFamily.InterNetwork", true)]
    [InlineData("System.Net.Sockets.AddressFamily.InterNetworkV6 => 128", true)]
    [InlineData("ns.OpenSocket(family, AddressFamily.InterNetwork)", true)]
    [InlineData("new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)", false)]
    [InlineData("ns.OpenSocket(\n    System.Net.Sockets.AddressFamily.InterNetworkV6,\n", false)]
    [InlineData("family == IpFamily.V4", false)]
    public void Only_the_creation_of_a_socket_may_use_the_framework_name(string code, bool isFound) =>
        Assert.Equal(isFound, FrameworkName().IsMatch(code));

    private static IEnumerable<string> SourceFiles() =>
        Directory
            .EnumerateDirectories(Root())
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(Root(), file))
            .Where(file => !Generated().IsMatch(file) && file != Path.GetRelativePath(Root(), Here()));

    private static string Root() => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, "..", ".."));

    private static string Here([CallerFilePath] string here = "") => here;

    [GeneratedRegex(
        @"(?<!Socket\(\s*(System\.Net\.Sockets\.)?)\bAddressFamily\.InterNetwork(V6)?\b",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex FrameworkName();

    [GeneratedRegex(@"(^|/)(bin|obj|out|\.\w+)/", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Generated();
}
