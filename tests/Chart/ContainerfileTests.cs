// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.RegularExpressions;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>
/// No image is built in the tests, which would need a registry. What can be said without: what is copied is there after <c>make build</c>, and the packages that are installed have every program that
/// the daemon runs and every library that the binaries want. Packages are those of this machine, whose names the image's distribution shares.
/// </summary>
public sealed partial class ContainerfileTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly string Text = File.ReadAllText(Path.Combine(HelmRenderer.Repository, "Containerfile"));

    /// <summary>Of the last stage.</summary>
    private static readonly string[] Packages = [.. InstalledPackages().Matches(Text)[^1].Groups["names"].Value.Split([' ', '\\', '\n'], StringSplitOptions.RemoveEmptyEntries)];

    [Fact]
    public void Files_that_are_copied_are_there_after_a_build_and_run()
    {
        var copied = Copied().Matches(Text).Select(match => (From: match.Groups["from"].Value, To: match.Groups["to"].Value)).ToList();
        Assert.Equal(["/app/ipamd", "/app/vpc-cni", "/app/LICENSE"], copied.Select(file => file.To));
        foreach (var (from, to) in copied) Requirement.Need(File.Exists(InRepository(from)), $"{from} (make build)");
        Assert.Contains("[\"/app/ipamd\"]", Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Packages_have_the_programs_that_the_daemon_runs()
    {
        Requirement.NeedProgram("dpkg");
        foreach (var program in (string[])["nft", "iptables-legacy-save", "iptables-legacy-restore", "iptables-nft-save", "iptables-nft-restore"])
        {
            Requirement.Need(File.Exists($"/usr/sbin/{program}"), program);
            Assert.Contains(PackageOf($"/usr/sbin/{program}"), Packages);
        }

        foreach (Match plugin in Plugin().Matches(Text))
        {
            Requirement.Need(File.Exists(plugin.Value), plugin.Value);
            Assert.Contains(PackageOf(plugin.Value), Packages);
        }
    }

    [Fact]
    public void Libraries_of_the_daemon_are_those_of_the_base_and_the_plugin_has_none()
    {
        Requirement.NeedProgram("dpkg");
        var (daemon, plugin) = (InRepository("/src/out/native/ipamd/ipamd"), InRepository("/src/out/native/vpc-cni/vpc-cni"));
        Requirement.Need(File.Exists(daemon) && File.Exists(plugin), "the native binaries (make build)");
        var libraries = Library().Matches(HelmRenderer.Run(new ProcessStartInfo("ldd", [daemon]), Deadline).Output).Select(match => match.Groups["path"].Value).ToList();
        Assert.NotEmpty(libraries);
        Assert.All(libraries, library => Assert.Equal("libc6", PackageOf(File.ResolveLinkTarget(library, returnFinalTarget: true)?.FullName ?? library)));
        Assert.Contains("not a dynamic executable", HelmRenderer.Run(new ProcessStartInfo("ldd", [plugin]), Deadline) is var outcome ? outcome.Output + outcome.Errors : "", StringComparison.Ordinal);
        // Opened by name for TLS.
        Assert.Contains("openssl", Packages);
    }

    [Fact]
    public void Commands_of_the_chart_are_programs_of_the_image()
    {
        var chart = HelmRenderer.Render(HelmRenderer.WithImage);
        foreach (var container in new[] { chart.Init, chart.Daemon }) Assert.Contains($" {(string)container["command"]![0]!}\n", Text, StringComparison.Ordinal);
        Assert.EndsWith("/app/vpc-cni", Copied().Matches(Text).Select(match => match.Groups["to"].Value).Single(path => path.EndsWith("vpc-cni", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    /// <summary>Without a command the program only prints its help.</summary>
    [Fact]
    public void Image_and_chart_say_run()
    {
        Assert.Contains("ENTRYPOINT [\"/app/ipamd\"]\nCMD [\"run\"]\n", Text, StringComparison.Ordinal);
        Assert.Equal("run", (string)HelmRenderer.Render(HelmRenderer.WithImage).Daemon["command"]![1]!);
    }

    private static string InRepository(string path) => Path.Combine(HelmRenderer.Repository, path["/src/".Length..]);

    /// <summary>The package of a file; distributions with one /usr know some by the path without it.</summary>
    private static string PackageOf(string path)
    {
        var found = HelmRenderer.Run(new ProcessStartInfo("dpkg", ["-S", path]), Deadline);
        if (found.ExitCode != 0) found = HelmRenderer.Run(new ProcessStartInfo("dpkg", ["-S", path.StartsWith("/usr/", StringComparison.Ordinal) ? path[4..] : $"/usr{path}"]), Deadline);
        Assert.True(found.ExitCode == 0, found.Errors);
        return found.Output.Split(':')[0];
    }

    [GeneratedRegex(@"apt-get install -y --no-install-recommends (?<names>[^&]+)&&", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex InstalledPackages();

    [GeneratedRegex(@"^COPY --from=build (?<from>\S+) (?<to>\S+)$", RegexOptions.ExplicitCapture | RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Copied();

    [GeneratedRegex(@"/usr/lib/cni/[a-z]+", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Plugin();

    [GeneratedRegex(@"(?<path>/\S+) \(0x", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Library();
}
