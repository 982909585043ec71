// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using VpcCni.Ipamd.Install;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Install;

/// <summary>Tests which core plugins of the image are installed, and which versions the configuration then offers.</summary>
public sealed class CorePluginTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-core-");
    private readonly PluginInquiry _inquiry = new(TimeProvider.System);
    private readonly List<string> _reports = [];
    private readonly List<string> _warned = [];

    private string Bin => Path.Combine(_folder.FullName, "bin");

    private string Image => Path.Combine(_folder.FullName, "app", "cni");

    private string Ours => Path.Combine(_folder.FullName, "app", "vpc-cni");

    private string Configuration => Path.Combine(_folder.FullName, "conf", Conflist.FileName);

    public CorePluginTests()
    {
        Directory.CreateDirectory(Bin);
        TestPlugin.WriteCore(Ours, "v0");
        foreach (var name in (string[])["bridge", "loopback", "macvlan", "portmap"])
            TestPlugin.WriteCore(Path.Combine(Image, name), "v1.7.1");
        File.WriteAllText(Path.Combine(Image, "LICENSE"), "text");
        File.SetUnixFileMode(Path.Combine(Image, "LICENSE"), UnixFileMode.UserRead);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Node_without_core_plugins_gets_all_executables_of_the_image()
    {
        await InstallCoreAsync();
        Assert.Equal(["bridge", "loopback", "macvlan", "portmap"], Names());
        Assert.All(
            Names(),
            name =>
            {
                Assert.Equal(File.ReadAllText(Path.Combine(Image, name)), File.ReadAllText(Path.Combine(Bin, name)));
                Assert.Equal((UnixFileMode)0b111_101_101, File.GetUnixFileMode(Path.Combine(Bin, name)));
            }
        );
        Assert.Empty(_warned);
        _reports.Clear();
        await InstallCoreAsync();
        Assert.Empty(_reports);
    }

    [Theory]
    [InlineData("v1.1.1", TestPlugin.Old)]
    [InlineData("v1.7.0", TestPlugin.Current)]
    [InlineData("version unknown", TestPlugin.Old)]
    public async Task Older_core_plugin_is_replaced_by_rename(string version, string protocols)
    {
        TestPlugin.WriteCore(OnNode("bridge"), version, protocols);
        using var running = new StreamReader(OnNode("bridge"));
        await InstallCoreAsync();
        Assert.Equal(OfImage("bridge"), File.ReadAllText(OnNode("bridge")));
        // A runtime that executes the old file keeps it.
        Assert.Contains(version, await running.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Single(_reports, sentence => sentence.Contains("bridge is written in place of the core plugin", StringComparison.Ordinal));
        Assert.Equal(["bridge", "loopback", "macvlan", "portmap"], Names());
    }

    [Theory]
    [InlineData("v1.7.1", TestPlugin.Current)]
    [InlineData("v1.8.0", TestPlugin.Current)]
    [InlineData("v2.0.0", TestPlugin.Old)]
    [InlineData("version unknown", TestPlugin.Current)]
    public async Task Core_plugin_that_is_not_older_stays(string version, string protocols)
    {
        TestPlugin.WriteCore(OnNode("bridge"), version, protocols);
        var before = File.ReadAllText(OnNode("bridge"));
        await InstallCoreAsync();
        Assert.Equal(before, File.ReadAllText(OnNode("bridge")));
        Assert.Empty(_warned);
    }

    [Theory]
    [InlineData("#!/bin/sh\necho 'CNI portmap plugin v0.0.1' >&2\n")]
    [InlineData("#!/bin/sh\necho 'somebody else'\n")]
    [InlineData("#!/bin/sh\ncat /dev/zero >&2\n")]
    [InlineData("no program")]
    public async Task File_that_is_not_a_core_plugin_stays_with_a_warning(string content)
    {
        TestPlugin.Write(OnNode("bridge"), content);
        await InstallCoreAsync();
        Assert.Equal(content, File.ReadAllText(OnNode("bridge")));
        Assert.Contains($"{OnNode("bridge")} does not identify itself as a core plugin", Assert.Single(_warned), StringComparison.Ordinal);
        Assert.Contains("portmap", Names());
    }

    [Fact]
    public async Task Folder_with_the_name_of_a_core_plugin_does_not_block_the_others()
    {
        Directory.CreateDirectory(OnNode("bridge"));
        await InstallCoreAsync();
        Assert.Contains("is a folder", Assert.Single(_warned), StringComparison.Ordinal);
        Assert.Equal(["loopback", "macvlan", "portmap"], Names());
    }

    /// <summary>The link is replaced; its target, which belongs to a package, is not written to.</summary>
    [Fact]
    public async Task Link_to_an_older_core_plugin_is_replaced_and_its_target_kept()
    {
        var target = Path.Combine(_folder.FullName, "package", "bridge");
        TestPlugin.WriteCore(target, "v1.1.1", TestPlugin.Old);
        var before = File.ReadAllText(target);
        File.CreateSymbolicLink(OnNode("bridge"), target);
        await InstallCoreAsync();
        Assert.Equal(before, File.ReadAllText(target));
        Assert.Equal(OfImage("bridge"), File.ReadAllText(OnNode("bridge")));
        Assert.Null(File.ResolveLinkTarget(OnNode("bridge"), returnFinalTarget: false));
    }

    /// <summary>The leftover of a crash must not block an installation.</summary>
    [Fact]
    public async Task Partial_copy_of_a_crash_is_overwritten()
    {
        await File.WriteAllTextAsync(Path.Combine(Bin, ".bridge.new"), "half", TestContext.Current.CancellationToken);
        await InstallCoreAsync();
        Assert.Equal(["bridge", "loopback", "macvlan", "portmap"], Names());
    }

    [Fact]
    public async Task Core_plugin_that_cannot_be_written_is_a_warning_and_the_others_are_installed()
    {
        Directory.CreateDirectory(Path.Combine(Bin, ".bridge.new"));
        await InstallCoreAsync();
        Assert.Contains("the core plugin bridge is not installed", Assert.Single(_warned), StringComparison.Ordinal);
        Assert.Equal(["loopback", "macvlan", "portmap"], Names());
    }

    [Fact]
    public async Task Needed_plugin_that_cannot_be_written_is_a_failure()
    {
        Directory.CreateDirectory(Path.Combine(Bin, ".portmap.new"));
        var installing = Installer().InstallNeededPluginsAsync(Image, TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<UnauthorizedAccessException>(() => installing);
    }

    [Fact]
    public async Task Configuration_offers_STATUS_when_every_plugin_of_the_chain_supports_it()
    {
        await InstallAllAsync();
        Assert.Equal(("1.0.0", "1.0.0,1.1.0"), Versions());
        Assert.DoesNotContain(_reports, sentence => sentence.Contains("offers only CNI 1.0.0", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("vpc-cni")]
    [InlineData("portmap")]
    [InlineData("bandwidth")]
    [InlineData("istio-cni")]
    public async Task One_plugin_without_status_leads_to_the_old_version_and_is_named(string old)
    {
        File.Delete(Path.Combine(Image, "portmap"));
        foreach (var name in (string[])["portmap", "bandwidth", "istio-cni"])
            TestPlugin.WriteCore(OnNode(name), "v1.7.1");
        TestPlugin.WriteCore(old == "vpc-cni" ? Ours : OnNode(old), "v1.1.1", TestPlugin.Old);
        Directory.CreateDirectory(Path.GetDirectoryName(Configuration)!);
        await File.WriteAllTextAsync(
            Configuration,
            """{"cniVersion":"1.0.0","name":"aws-cni","plugins":[{"type":"vpc-cni"},{"type":"istio-cni"}]}""",
            TestContext.Current.CancellationToken
        );
        await InstallAllAsync();
        Assert.Equal(("1.0.0", null), Versions());
        Assert.Single(_reports, sentence => sentence.Contains($"the plugin {old} supports 1.0.0 at most", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Missing_or_invalid_plugin_of_the_chain_leads_to_the_old_version()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Configuration)!);
        foreach (
            var (type, reason) in (IEnumerable<(string, string)>)
                [("linkerd-cni", "the plugin linkerd-cni does not exist"), ("../bin/portmap", "is not a file name")]
        )
        {
            await File.WriteAllTextAsync(
                Configuration,
                $$"""{"cniVersion":"1.0.0","name":"aws-cni","plugins":[{"type":"vpc-cni"},{"type":"{{type}}"}]}""",
                TestContext.Current.CancellationToken
            );
            _reports.Clear();
            await InstallAllAsync();
            Assert.Equal(("1.0.0", null), Versions());
            Assert.Single(_reports, sentence => sentence.Contains(reason, StringComparison.Ordinal));
        }
    }

    /// <summary>A package manager may install its own portmap, or a mesh append a plugin; with 1.1.0, every DEL would then fail.</summary>
    [Fact]
    public async Task Versions_follow_the_plugins_of_the_chain_while_the_daemon_runs()
    {
        await InstallAllAsync();
        TestPlugin.WriteCore(OnNode("portmap"), "version unknown", TestPlugin.Old);
        await UpdateAsync();
        Assert.Equal(("1.0.0", null), Versions());
        TestPlugin.WriteCore(OnNode("portmap"), "v1.7.1");
        await UpdateAsync();
        Assert.Equal(("1.0.0", "1.0.0,1.1.0"), Versions());

        var conflist = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Configuration))!;
        conflist["plugins"]!.AsArray().Add(System.Text.Json.Nodes.JsonNode.Parse("""{"type":"istio-cni","x":1}"""));
        TestPlugin.WriteCore(OnNode("istio-cni"), "v1", TestPlugin.Old);
        await File.WriteAllTextAsync(Configuration, conflist.ToJsonString(), TestContext.Current.CancellationToken);
        await UpdateAsync();
        Assert.Equal(("1.0.0", null), Versions());
        Assert.Equal(["istio-cni"], Conflist.ChainedByOthers(File.ReadAllBytes(Configuration)).Select(plugin => plugin.Type));

        var written = File.GetLastWriteTimeUtc(Configuration);
        _reports.Clear();
        await UpdateAsync();
        Assert.Equal(written, File.GetLastWriteTimeUtc(Configuration));
        Assert.Empty(_reports);
    }

    [Fact]
    public async Task Configuration_of_another_network_is_not_changed()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Configuration)!);
        const string other = """{"cniVersion":"1.0.0","cniVersions":["1.1.0"],"plugins":[{"type":"bridge"}]}""";
        await File.WriteAllTextAsync(Configuration, other, TestContext.Current.CancellationToken);
        await UpdateAsync();
        Assert.Equal(other, File.ReadAllText(Configuration));
    }

    /// <summary>Tests with real plugins: Debian's and Ubuntu's 1.1.1 support 1.0.0, and 1.1.0 would break every DEL with them.</summary>
    [Fact]
    public async Task Portmap_of_the_distribution_leads_to_the_old_version_until_replaced()
    {
        Requirement.Need(File.Exists("/usr/lib/cni/portmap"), "/usr/lib/cni/portmap (containernetworking-plugins)");
        Requirement.Need(
            !(await _inquiry.GetProtocolSupportAsync("/usr/lib/cni/portmap", TestContext.Current.CancellationToken)).Supports("1.1.0"),
            "a portmap older than 1.6"
        );
        var current = File.ReadAllText(Path.Combine(Image, "portmap"));
        File.Delete(Path.Combine(Image, "portmap"));
        File.Copy("/usr/lib/cni/portmap", OnNode("portmap"));
        await InstallAllAsync();
        Assert.Equal(("1.0.0", null), Versions());
        Assert.Single(_reports, sentence => sentence.Contains("the plugin portmap supports 1.0.0 at most", StringComparison.Ordinal));

        TestPlugin.Write(Path.Combine(Image, "portmap"), current);
        await InstallAllAsync();
        Assert.Equal(("1.0.0", "1.0.0,1.1.0"), Versions());
        Assert.Equal(current, File.ReadAllText(OnNode("portmap")));
    }

    private string OnNode(string name) => Path.Combine(Bin, name);

    private string OfImage(string name) => File.ReadAllText(Path.Combine(Image, name));

    private List<string> Names() => [.. Directory.GetFiles(Bin).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private (string?, string?) Versions()
    {
        var conflist = JsonDocument.Parse(File.ReadAllText(Configuration)).RootElement;
        return (
            conflist.GetProperty("cniVersion").GetString(),
            conflist.TryGetProperty("cniVersions", out var versions)
                ? string.Join(',', versions.EnumerateArray().Select(version => version.GetString()))
                : null
        );
    }

    private Installer Installer() =>
        new(
            new InstallOptions
            {
                PluginFolder = Bin,
                ConfigurationFolder = Path.GetDirectoryName(Configuration)!,
                Bandwidth = File.Exists(OnNode("bandwidth")),
            },
            _inquiry,
            _reports.Add,
            _warned.Add
        );

    private Task InstallCoreAsync() => Installer().InstallCorePluginsAsync(Image, TestContext.Current.CancellationToken);

    private Task UpdateAsync() => Installer().UpdateVersionsAsync(TestContext.Current.CancellationToken);

    private async Task InstallAllAsync()
    {
        var installer = Installer();
        installer.InstallPlugin(Ours);
        await installer.InstallNeededPluginsAsync(Image, TestContext.Current.CancellationToken);
        await installer.InstallConfigurationAsync(TestContext.Current.CancellationToken);
    }
}
