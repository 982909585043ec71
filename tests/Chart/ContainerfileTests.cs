// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>
/// Checks the Containerfile without building an image, which would need a registry: the files that it copies exist after <c>make build</c>,
/// and its packages have every program that the daemon runs and every library that the binaries need. Compared with the packages of this
/// machine, which have the same names as those of the image's distribution.
/// </summary>
public sealed partial class ContainerfileTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly string Text = File.ReadAllText(Path.Combine(HelmRenderer.Repository, "Containerfile"));

    /// <summary>Packages of the last stage.</summary>
    private static readonly string[] Packages =
    [
        .. InstalledPackages().Matches(Text)[^1].Groups["names"].Value.Split([' ', '\\', '\n'], StringSplitOptions.RemoveEmptyEntries),
    ];

    [Fact]
    public void Copied_files_exist_after_a_build_and_run()
    {
        var copied = Copied().Matches(Text).Select(match => (From: match.Groups["from"].Value, To: match.Groups["to"].Value)).ToList();
        Assert.Equal(["/app/ipamd", "/app/vpc-cni", "/app/LICENSE"], copied.Select(file => file.To));
        foreach (var (from, to) in copied)
            Requirement.Need(File.Exists(InRepository(from)), $"{from} (make build)");
        Assert.Contains("[\"/app/ipamd\"]", Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Packages_have_the_programs_of_the_daemon()
    {
        Requirement.NeedProgram("dpkg");
        foreach (
            var program in (string[])["nft", "iptables-legacy-save", "iptables-legacy-restore", "iptables-nft-save", "iptables-nft-restore"]
        )
        {
            Requirement.Need(File.Exists($"/usr/sbin/{program}"), program);
            Assert.Contains(PackageOf($"/usr/sbin/{program}"), Packages);
        }
    }

    /// <summary>1.6 is the first release that supports CNI 1.1.0.</summary>
    [Fact]
    public void Core_plugins_support_CNI_1_1_and_have_a_checksum_per_architecture()
    {
        var arguments = Argument()
            .Matches(Text)
            .ToDictionary(match => match.Groups["name"].Value, match => match.Groups["value"].Value, StringComparer.Ordinal);
        Assert.True(Version.Parse(arguments["CNI_PLUGINS_VERSION"].TrimStart('v')) >= new Version(1, 6, 0));
        var sums = arguments.Where(argument => argument.Key.StartsWith("CNI_PLUGINS_SHA256_", StringComparison.Ordinal)).ToList();
        Assert.Equal(["CNI_PLUGINS_SHA256_AMD64", "CNI_PLUGINS_SHA256_ARM64"], sums.Select(argument => argument.Key));
        Assert.All(sums, argument => Assert.Matches("^[0-9a-f]{64}$", argument.Value));
        Assert.Equal(2, sums.Select(argument => argument.Value).Distinct(StringComparer.Ordinal).Count());
        // docs/install.md names the argument for mirrors.
        Assert.StartsWith("https://", arguments["CNI_PLUGINS_URL"], StringComparison.Ordinal);
        // The installer reads the folder beside the plugin.
        Assert.Contains("COPY --from=plugins /plugins/bin /app/cni\n", Text, StringComparison.Ordinal);
    }

    /// <summary>Runs the script of the image's build on an archive like that of the release.</summary>
    [Fact]
    public void Core_plugins_are_unpacked_only_with_a_valid_checksum()
    {
        foreach (var program in (string[])["curl", "tar", "sha256sum"])
            Requirement.NeedProgram(program);
        var folder = Directory.CreateTempSubdirectory("vpccni-plugins-");
        try
        {
            var (version, script) = ("v1.7.1", Path.Combine(HelmRenderer.Repository, "scripts", "fetch-cni-plugins"));
            var arch = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "amd64";
            var release = Directory.CreateDirectory(Path.Combine(folder.FullName, "release", version));
            var archive = Path.Combine(release.FullName, $"cni-plugins-linux-{arch}-{version}.tgz");
            Shell("mkdir x; cd x; echo a > portmap; echo b > bridge; chmod 755 portmap bridge; echo c > LICENSE; echo d > README.md");
            Shell($"cd x && tar czf {archive} ./portmap ./bridge ./LICENSE ./README.md");
            var sum = Shell($"sha256sum {archive}").Output[..64];
            RenderOutcome Fetch(string of, string into)
            {
                string[] arguments = [$"file://{release.Parent!.FullName}", version, $"other={new string('0', 64)}", $"{arch}={of}"];
                return HelmRenderer.Run(new ProcessStartInfo(script, [.. arguments, Path.Combine(folder.FullName, into)]), Deadline);
            }

            var fetched = Fetch(sum, "right");
            Assert.True(fetched.ExitCode == 0, fetched.Errors);
            Assert.Equal(
                ["LICENSE", "bin/bridge", "bin/portmap"],
                Directory
                    .GetFiles(Path.Combine(folder.FullName, "right"), "*", SearchOption.AllDirectories)
                    .Select(path => Path.GetRelativePath(Path.Combine(folder.FullName, "right"), path))
                    .Order(StringComparer.Ordinal)
            );
            Assert.True(File.GetUnixFileMode(Path.Combine(folder.FullName, "right", "bin", "portmap")).HasFlag(UnixFileMode.OtherExecute));

            var wrong = Fetch(new string('a', 64), "wrong");
            Assert.NotEqual(0, wrong.ExitCode);
            Assert.Contains($"has the SHA-256 {sum}, expected {new string('a', 64)}", wrong.Errors, StringComparison.Ordinal);
            Assert.False(Directory.Exists(Path.Combine(folder.FullName, "wrong")));
            Assert.Contains("expected 64 hexadecimal digits", Fetch("", "none").Errors, StringComparison.Ordinal);

            RenderOutcome Shell(string command)
            {
                var outcome = HelmRenderer.Run(
                    new ProcessStartInfo("sh", ["-ec", command]) { WorkingDirectory = folder.FullName },
                    Deadline
                );
                Assert.True(outcome.ExitCode == 0, outcome.Errors);
                return outcome;
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Libraries_of_the_daemon_are_those_of_the_base_and_the_plugin_has_none()
    {
        Requirement.NeedProgram("dpkg");
        var (daemon, plugin) = (InRepository("/src/out/native/ipamd/ipamd"), InRepository("/src/out/native/vpc-cni/vpc-cni"));
        Requirement.Need(File.Exists(daemon) && File.Exists(plugin), "the native binaries (make build)");
        var libraries = Library()
            .Matches(HelmRenderer.Run(new ProcessStartInfo("ldd", [daemon]), Deadline).Output)
            .Select(match => match.Groups["path"].Value)
            .ToList();
        Assert.NotEmpty(libraries);
        Assert.All(
            libraries,
            library => Assert.Equal("libc6", PackageOf(File.ResolveLinkTarget(library, returnFinalTarget: true)?.FullName ?? library))
        );
        Assert.Contains(
            "not a dynamic executable",
            HelmRenderer.Run(new ProcessStartInfo("ldd", [plugin]), Deadline) is var outcome ? outcome.Output + outcome.Errors : "",
            StringComparison.Ordinal
        );
        // The daemon loads it by name for TLS.
        Assert.Contains("openssl", Packages);
    }

    [Fact]
    public void Commands_of_the_chart_are_programs_of_the_image()
    {
        var chart = HelmRenderer.Render(HelmRenderer.WithImage);
        foreach (var container in new[] { chart.Init, chart.Daemon })
            Assert.Contains($" {(string)container["command"]![0]!}\n", Text, StringComparison.Ordinal);
        Assert.EndsWith(
            "/app/vpc-cni",
            Copied()
                .Matches(Text)
                .Select(match => match.Groups["to"].Value)
                .Single(path => path.EndsWith("vpc-cni", StringComparison.Ordinal)),
            StringComparison.Ordinal
        );
    }

    /// <summary>Without a command the program only prints its help.</summary>
    [Fact]
    public void Image_and_chart_have_the_command_run()
    {
        Assert.Contains("ENTRYPOINT [\"/app/ipamd\"]\nCMD [\"run\"]\n", Text, StringComparison.Ordinal);
        Assert.Equal("run", (string)HelmRenderer.Render(HelmRenderer.WithImage).Daemon["command"]![1]!);
    }

    private static string InRepository(string path) => Path.Combine(HelmRenderer.Repository, path["/src/".Length..]);

    /// <summary>Returns the package of a file. Distributions with a merged /usr register some files by the path without it.</summary>
    private static string PackageOf(string path)
    {
        var found = HelmRenderer.Run(new ProcessStartInfo("dpkg", ["-S", path]), Deadline);
        if (found.ExitCode != 0)
            found = HelmRenderer.Run(
                new ProcessStartInfo("dpkg", ["-S", path.StartsWith("/usr/", StringComparison.Ordinal) ? path[4..] : $"/usr{path}"]),
                Deadline
            );
        Assert.True(found.ExitCode == 0, found.Errors);
        return found.Output.Split(':')[0];
    }

    [GeneratedRegex(
        @"apt-get install -y --no-install-recommends (?<names>[^&]+)&&",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex InstalledPackages();

    [GeneratedRegex(
        @"^COPY --from=build (?<from>\S+) (?<to>\S+)$",
        RegexOptions.ExplicitCapture | RegexOptions.Multiline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Copied();

    [GeneratedRegex(
        @"^ARG (?<name>CNI_PLUGINS_[A-Z0-9_]+)=(?<value>\S+)$",
        RegexOptions.ExplicitCapture | RegexOptions.Multiline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Argument();

    [GeneratedRegex(@"(?<path>/\S+) \(0x", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Library();
}
