// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.HostNetwork.Nat;
using VpcCni.Ipamd.Install;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.MissedDels;
using Xunit;

namespace VpcCni.Ipamd.Tests.Install;

/// <summary>Tests what install and uninstall leave in the runtime's two folders, in every order.</summary>
public sealed class InstallerTests : IDisposable
{
    /// <summary>The conflist as written by aws-node's container.</summary>
    private const string Reference =
        """{"cniVersion":"0.4.0","name":"aws-cni","disableCheck":true,"plugins":[{"name":"aws-cni","type":"aws-cni","vethPrefix":"eni","mtu":"9001","podSGEnforcingMode":"strict","pluginLogFile":"/var/log/aws-routed-eni/plugin.log","pluginLogLevel":"DEBUG"},{"name":"egress-cni","type":"egress-cni","enabled":"false"},{"type":"portmap","capabilities":{"portMappings":true},"snat":true}]}""";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-install-");
    private readonly List<string> _reports = [];
    private readonly List<string> _warned = [];

    private string Bin => Path.Combine(_folder.FullName, "bin");

    private string Conf => Path.Combine(_folder.FullName, "conf");

    private string Source => Path.Combine(_folder.FullName, "source");

    private InstallOptions Options =>
        new()
        {
            PluginFolder = Bin,
            ConfigurationFolder = Conf,
            SocketPath = "/run/x.sock",
            Mtu = 1500,
            VethPrefix = "abc",
        };

    public InstallerTests() => File.WriteAllText(Source, "plugin 1");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Install_writes_exactly_the_two_files_readable_for_the_runtime()
    {
        await InstallAsync();
        Assert.Equal(["bin/vpc-cni", "conf/10-aws.conflist"], Files());
        Assert.Equal("plugin 1", File.ReadAllText(Path.Combine(Bin, "vpc-cni")));
        Assert.True(File.GetUnixFileMode(Path.Combine(Bin, "vpc-cni")).HasFlag(UnixFileMode.UserExecute | UnixFileMode.OtherExecute));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead,
            File.GetUnixFileMode(Configuration)
        );
        var plugin = JsonDocument.Parse(File.ReadAllText(Configuration)).RootElement.GetProperty("plugins")[0];
        Assert.Equal(
            ("vpc-cni", "abc", "1500", "/run/x.sock"),
            (
                plugin.GetProperty("type").GetString(),
                plugin.GetProperty("vethPrefix").GetString(),
                plugin.GetProperty("mtu").GetString(),
                plugin.GetProperty("ipamdSocket").GetString()
            )
        );
    }

    [Fact]
    public async Task Second_install_changes_nothing()
    {
        await InstallAsync();
        var written = (File.GetLastWriteTimeUtc(Configuration), Inode(Configuration), Inode(Path.Combine(Bin, "vpc-cni")));
        _reports.Clear();
        await InstallAsync();
        Assert.Equal(written, (File.GetLastWriteTimeUtc(Configuration), Inode(Configuration), Inode(Path.Combine(Bin, "vpc-cni"))));
        Assert.DoesNotContain(_reports, sentence => sentence.Contains("written", StringComparison.Ordinal));
        Assert.Equal(2, _reports.Count(sentence => sentence.EndsWith("is up to date", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task New_version_replaces_the_plugin_by_rename()
    {
        await InstallAsync();
        var old = Inode(Path.Combine(Bin, "vpc-cni"));
        File.WriteAllText(Source, "plugin 2");
        await InstallAsync();
        Assert.Equal("plugin 2", File.ReadAllText(Path.Combine(Bin, "vpc-cni")));
        Assert.NotEqual(old, Inode(Path.Combine(Bin, "vpc-cni")));
    }

    [Fact]
    public async Task Uninstall_after_install_restores_the_previous_state()
    {
        Directory.CreateDirectory(Bin);
        File.WriteAllText(Path.Combine(Bin, "portmap"), "foreign");
        await InstallAsync();
        Uninstall();
        Assert.Equal(["bin/portmap"], Files());
        Uninstall();
        Assert.Equal(["bin/portmap"], Files());
    }

    [Fact]
    public async Task Uninstall_restores_the_configuration_of_aws_node_byte_for_byte()
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Configuration, Reference);
        await InstallAsync();
        await InstallAsync();
        Assert.Equal(["bin/vpc-cni", "conf/10-aws.conflist", "conf/10-aws.conflist.before-vpc-cni"], Files());
        Assert.True(Conflist.IsOurs(File.ReadAllBytes(Configuration)));
        Uninstall();
        Assert.Equal(["conf/10-aws.conflist"], Files());
        Assert.Equal(Reference, File.ReadAllText(Configuration));
    }

    [Fact]
    public async Task Uninstall_keeps_a_configuration_that_aws_node_wrote_later()
    {
        await InstallAsync();
        File.WriteAllText(Configuration, Reference);
        Uninstall();
        Assert.Equal(["conf/10-aws.conflist"], Files());
        Assert.Equal(Reference, File.ReadAllText(Configuration));
        Assert.Contains(_reports, sentence => sentence.Contains("belongs to another network", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true, false, "true", "")]
    [InlineData(false, true, "", "true")]
    public async Task Egress_of_the_other_family_is_the_plugins_and_egress_cni_is_not_called(bool v4, bool v6, string hasV4, string hasV6)
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Configuration, Reference.Replace("\"enabled\":\"false\"", "\"enabled\":\"true\"", StringComparison.Ordinal));

        await InstallAsync(Options with { V4Egress = v4, V6Egress = v6 });

        Assert.Equal(["vpc-cni", "portmap"], Types());
        var plugin = JsonDocument.Parse(File.ReadAllText(Configuration)).RootElement.GetProperty("plugins")[0];
        Assert.Equal(
            (hasV4, hasV6),
            (
                plugin.TryGetProperty("enableV4Egress", out var four) ? four.GetString() : "",
                plugin.TryGetProperty("enableV6Egress", out var six) ? six.GetString() : ""
            )
        );
    }

    /// <summary>A mesh appends its plugin to the existing conflist; pods that start without it bypass the mesh.</summary>
    [Fact]
    public async Task Appended_plugin_stays_last_with_a_warning()
    {
        await InstallAsync();
        Assert.Empty(_warned);
        const string mesh =
            """{"type":"istio-cni","log_level":"info","kubernetes":{"exclude_namespaces":["kube-system"]},"ports":[1,2.50]}""";
        Append(mesh, """{"type":"tuning","sysctl":{"net.core.somaxconn":"512"}}""");
        await InstallAsync();
        Assert.Equal(["vpc-cni", "portmap", "istio-cni", "tuning"], Types());
        Assert.True(
            JsonElement.DeepEquals(
                JsonDocument.Parse(mesh).RootElement,
                JsonDocument.Parse(File.ReadAllText(Configuration)).RootElement.GetProperty("plugins")[2]
            )
        );
        Assert.Equal(2, _warned.Count);
        Assert.Contains("istio-cni", _warned[0], StringComparison.Ordinal);
        Assert.Contains("it is not in ", _warned[0], StringComparison.Ordinal);

        var written = (File.ReadAllText(Configuration), Inode(Configuration));
        File.WriteAllText(Path.Combine(Bin, "istio-cni"), "mesh");
        _warned.Clear();
        await InstallAsync();
        Assert.Equal(written, (File.ReadAllText(Configuration), Inode(Configuration)));
        Assert.DoesNotContain("it is not in ", _warned[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Own_entries_follow_the_settings_and_are_not_chained_plugins()
    {
        await InstallAsync();
        Append("""{"type":"bandwidth","capabilities":{"bandwidth":true}}""", """{"type":"vpc-cni"}""", """{"type":7}""", "3");
        await InstallAsync();
        Assert.Equal(["vpc-cni", "portmap"], Types());
        Assert.Empty(_warned);
    }

    [Theory]
    [InlineData("""{"plugins":[{"type":"\ud800"},{"type":"istio-cni"}]}""")]
    [InlineData("""{"plugins":[{"\ud800":"aws-cni"}]}""")]
    public async Task Configuration_with_invalid_unicode_is_kept_as_another_networks(string content)
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Configuration, content);
        await InstallAsync();
        Assert.Equal(["vpc-cni", "portmap"], Types());
        Uninstall();
        Assert.Equal(content, File.ReadAllText(Configuration));
    }

    [Fact]
    public async Task Only_appended_plugins_of_the_configuration_of_aws_node_are_kept()
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Configuration, Reference);
        Append("""{"type":"istio-cni"}""");
        var before = File.ReadAllText(Configuration);
        await InstallAsync();
        Assert.Equal(["vpc-cni", "portmap", "istio-cni"], Types());
        _warned.Clear();
        Uninstall();
        Assert.Equal(before, File.ReadAllText(Configuration));
        Assert.Empty(_warned);
    }

    [Fact]
    public async Task Plugins_of_another_network_are_not_kept()
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Configuration, """{"cniVersion":"1.0.0","name":"other","plugins":[{"type":"bridge"},{"type":"firewall"}]}""");
        await InstallAsync();
        Assert.Equal(["vpc-cni", "portmap"], Types());
    }

    [Fact]
    public async Task Uninstall_names_plugins_that_must_be_appended_again()
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Configuration, Reference);
        await InstallAsync();
        Append("""{"type":"istio-cni"}""");
        Uninstall();
        Assert.Equal(Reference, File.ReadAllText(Configuration));
        Assert.Contains("istio-cni", Assert.Single(_warned), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("{\"plugins\":[]}")]
    [InlineData("{\"plugins\":[{\"type\":7}]}")]
    public async Task Uncertain_configuration_is_kept_as_another_networks(string content)
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Configuration, content);
        await InstallAsync();
        Uninstall();
        Assert.Equal(content, File.ReadAllText(Configuration));
    }

    [Fact]
    public async Task Leftover_of_a_crashed_install_is_overwritten()
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Path.Combine(Conf, ".10-aws.conflist.new"), "half a fi");
        await InstallAsync();
        Assert.Equal(["bin/vpc-cni", "conf/10-aws.conflist"], Files());
    }

    [Fact]
    public async Task Missing_daemon_installs_the_plugin_and_keeps_the_configuration()
    {
        Directory.CreateDirectory(Conf);
        File.WriteAllText(Configuration, Reference);
        var (output, error) = (new StringWriter(), new StringWriter());
        var commands = TestCommands.Create(new CommandConsole(output, error));
        Assert.Equal(
            2,
            await commands.InvokeAsync(
                ["install", "--plugin", Source, "--wait", "1", "--socket", Path.Combine(_folder.FullName, "none.sock")],
                new IpamdOptions { Install = Options, SocketPath = Socket }
            )
        );
        Assert.Equal(["bin/vpc-cni", "conf/10-aws.conflist"], Files());
        Assert.Equal(Reference, File.ReadAllText(Configuration));
        Assert.Contains("configuration is unchanged", error.ToString(), StringComparison.Ordinal);

        Assert.Equal(
            1,
            await commands.InvokeAsync(["install", "--plugin", "/nonexistent"], new IpamdOptions { Install = Options, SocketPath = Socket })
        );
        Assert.Equal(0, await commands.InvokeAsync(["uninstall"], new IpamdOptions { Install = Options, SocketPath = Socket }));
        Assert.Equal(["conf/10-aws.conflist"], Files());
    }

    [Fact]
    public async Task Uninstall_removes_source_nat_if_it_is_replaced_or_on_request()
    {
        List<bool> asked = [];
        var outcomes = new Queue<NatRemovalOutcome>([
            NatRemovalOutcome.Kept,
            NatRemovalOutcome.Removed,
            NatRemovalOutcome.Kept,
            NatRemovalOutcome.Removed,
        ]);
        var output = new StringWriter();
        var commands = TestCommands.Create(
            new CommandConsole(output, TextWriter.Null),
            removeTranslation: (always, _) =>
            {
                asked.Add(always);
                return Task.FromResult(outcomes.Dequeue());
            }
        );
        Assert.Equal(0, await commands.InvokeAsync(["uninstall"], new IpamdOptions { Install = Options, SocketPath = Socket }));
        Assert.Contains("tables ip vpccni and ip6 vpccni stay,", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, await commands.InvokeAsync(["uninstall", "--nat"], new IpamdOptions { Install = Options, SocketPath = Socket }));
        Assert.Equal(
            0,
            await commands.InvokeAsync(["uninstall", "--wait", "5"], new IpamdOptions { Install = Options, SocketPath = Socket })
        );
        Assert.Equal([false, true, false, false], asked);
        Assert.EndsWith("tables ip vpccni and ip6 vpccni are removed\n", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Uninstall_removes_records_of_missed_dels_and_no_other_files()
    {
        using (var folder = MissedDelFolder.Open(Socket))
            folder.Write(new string('a', 40), "{}"u8, unique: 1);
        var notes = MissedDelFolder.PathBeside(Socket);
        File.WriteAllText(Path.Combine(notes, "README"), "");
        var error = new StringWriter();
        var commands = TestCommands.Create(new CommandConsole(TextWriter.Null, error));

        Assert.Equal(0, await commands.InvokeAsync(["uninstall"], new IpamdOptions { Install = Options, SocketPath = Socket }));
        Assert.Equal(["README"], Directory.EnumerateFileSystemEntries(notes).Select(Path.GetFileName));
        Assert.Contains("it has 1 files that are not records", error.ToString(), StringComparison.Ordinal);
        File.Delete(Path.Combine(notes, "README"));
        Assert.Equal(0, await commands.InvokeAsync(["uninstall"], new IpamdOptions { Install = Options, SocketPath = Socket }));
        Assert.False(Directory.Exists(notes));
    }

    private string Configuration => Path.Combine(Conf, Conflist.FileName);

    /// <summary>Socket of a daemon that does not run.</summary>
    private string Socket => Path.Combine(_folder.FullName, "none.sock");

    private List<string?> Types() =>
        [
            .. JsonDocument
                .Parse(File.ReadAllText(Configuration))
                .RootElement.GetProperty("plugins")
                .EnumerateArray()
                .Select(plugin => plugin.GetProperty("type").GetString()),
        ];

    private void Append(params string[] entries)
    {
        var conflist = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Configuration))!;
        foreach (var entry in entries)
            conflist["plugins"]!.AsArray().Add(System.Text.Json.Nodes.JsonNode.Parse(entry));
        File.WriteAllText(Configuration, conflist.ToJsonString());
    }

    private async Task InstallAsync(InstallOptions? options = null)
    {
        var installer = Installer(options);
        installer.InstallPlugin(Source);
        await installer.InstallConfigurationAsync(TestContext.Current.CancellationToken);
    }

    private void Uninstall() => Installer().Uninstall();

    private Installer Installer(InstallOptions? options = null) =>
        new(options ?? Options, new PluginInquiry(TimeProvider.System), _reports.Add, _warned.Add);

    private List<string> Files() =>
        [
            .. Directory
                .GetFiles(_folder.FullName, "*", SearchOption.AllDirectories)
                .Where(path => path != Source)
                .Select(path => Path.GetRelativePath(_folder.FullName, path))
                .Order(StringComparer.Ordinal),
        ];

    private static string Inode(string path)
    {
        using var stat = System.Diagnostics.Process.Start(
            new System.Diagnostics.ProcessStartInfo("stat", ["-c", "%i", path]) { RedirectStandardOutput = true, UseShellExecute = false }
        )!;
        return stat.StandardOutput.ReadToEnd();
    }
}
