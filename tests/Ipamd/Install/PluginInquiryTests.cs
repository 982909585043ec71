// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Install;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Install;

/// <summary>Tests what plugins print when executed, and how useless answers are handled.</summary>
public sealed class PluginInquiryTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-inquiry-");

    private string Plugin => Path.Combine(_folder.FullName, "portmap");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Versions_are_those_that_the_plugin_prints()
    {
        TestPlugin.WriteCore(Plugin, "v1.7.1");
        var support = await AskAsync();
        Assert.Equal(["0.3.1", "0.4.0", "1.0.0", "1.1.0"], support.Versions);
        Assert.True(support.Supports("1.1.0"));
        Assert.Equal(new Version(1, 1, 0), support.Newest);
    }

    [Theory]
    [InlineData("echo garbage", "without an object with supportedVersions")]
    [InlineData("echo '[]'", "without an object")]
    [InlineData("echo '{\"supportedVersions\":\"1.1.0\"}'", "without an object")]
    [InlineData("echo '{\"supportedVersions\":[]}'", "without an object")]
    [InlineData("echo '{\"supportedVersions\":[1.1]}'", "without an object")]
    [InlineData("printf '{\"supportedVersions\":[\"\\\\ud800\"]}'", "without an object")]
    [InlineData("exit 0", "without an object")]
    [InlineData("echo '{\"supportedVersions\":[\"1.1.0\"]}'; exit 1", "exit code 1")]
    [InlineData("head -c 70000 /dev/zero | tr '\\0' x", "more than 64 KiB")]
    [InlineData("head -c 70000 /dev/zero | tr '\\0' x >&2; echo '{\"supportedVersions\":[\"1.1.0\"]}'", "more than 64 KiB")]
    [InlineData("exec cat /dev/zero", "more than 64 KiB")]
    public async Task Invalid_answer_is_a_problem_without_versions(string command, string expected)
    {
        TestPlugin.WriteAnswer(Plugin, command);
        var support = await AskAsync();
        Assert.Empty(support.Versions);
        Assert.Contains(expected, support.Problem, StringComparison.Ordinal);
        Assert.Null(support.Newest);
    }

    /// <summary>The script's child inherits its streams and would keep them open for an hour.</summary>
    [Fact]
    public async Task Hanging_plugin_is_killed_with_its_children_at_the_deadline()
    {
        TestPlugin.WriteAnswer(Plugin, $"echo $$ > {_folder.FullName}/pid; sleep 3600 & echo $! > {_folder.FullName}/child; wait");
        var time = new ManualTimeProvider();
        var asked = new PluginInquiry(time).GetProtocolSupportAsync(Plugin, TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(() =>
            File.Exists($"{_folder.FullName}/child") && File.ReadAllText($"{_folder.FullName}/child").Length > 0
        );
        Assert.False(asked.IsCompleted);
        time.Advance(PluginInquiry.Deadline);
        Assert.Equal(
            "did not answer within 5 s",
            (await asked.WaitAsync(Eventually.DefaultDeadline, TestContext.Current.CancellationToken)).Problem
        );
        foreach (var file in (string[])["pid", "child"])
            await Eventually.TrueAsync(() => !IsRunning(File.ReadAllText($"{_folder.FullName}/{file}").Trim()));
    }

    [Fact]
    public async Task File_that_cannot_be_executed_is_a_problem()
    {
        Assert.Equal("does not exist", (await AskAsync()).Problem);
        await File.WriteAllTextAsync(Plugin, "#!/bin/sh\n", TestContext.Current.CancellationToken);
        Assert.Contains("cannot be executed", (await AskAsync()).Problem, StringComparison.Ordinal);
        TestPlugin.Write(Plugin, "neither a script nor a program");
        Assert.Contains("cannot be executed", (await AskAsync()).Problem, StringComparison.Ordinal);
    }

    /// <summary>Another program must not receive the daemon's credentials.</summary>
    [Fact]
    public async Task Environment_of_the_plugin_has_only_variables_of_the_protocol()
    {
        TestPlugin.WriteAnswer(Plugin, $"env | cut -d= -f1 | sort > {_folder.FullName}/names; pwd >> {_folder.FullName}/names");
        await AskAsync();
        var names = await File.ReadAllLinesAsync($"{_folder.FullName}/names", TestContext.Current.CancellationToken);
        Assert.Equal(
            ["CNI_COMMAND", "CNI_IFNAME", "CNI_NETNS", "CNI_PATH", "PATH", "PWD", "/"],
            names.Where(name => name is not ("_" or "SHLVL" or "OLDPWD"))
        );
    }

    [Fact]
    public async Task Answer_is_cached_until_the_file_changes_and_a_failure_is_not()
    {
        var inquiry = new PluginInquiry(TimeProvider.System);
        var calls = Path.Combine(_folder.FullName, "calls");
        async Task<ProtocolSupport> Ask() => await inquiry.GetProtocolSupportAsync(Plugin, TestContext.Current.CancellationToken);

        TestPlugin.WriteAnswer(Plugin, $"echo >> {calls}; exit 1");
        await Ask();
        await Ask();
        Assert.Equal(2, File.ReadAllLines(calls).Length);
        TestPlugin.WriteAnswer(Plugin, $"echo >> {calls}; echo '{{\"supportedVersions\":[\"1.0.0\"]}}'");
        await Ask();
        await Ask();
        Assert.Equal(3, File.ReadAllLines(calls).Length);
        TestPlugin.WriteCore(Plugin, "v1.7.1");
        Assert.True((await Ask()).Supports("1.1.0"));
    }

    [Theory]
    [InlineData("portmap", "CNI portmap plugin v1.7.1\nCNI protocol versions supported: 0.1.0\n", "v1.7.1")]
    [InlineData("portmap", "CNI portmap plugin v0.8.0\n", "v0.8.0")]
    [InlineData("portmap", "CNI portmap plugin v1.6.2-3-gabcdef\n", "v1.6.2")]
    [InlineData("host-local", "CNI host-local plugin version unknown\n", "of an unknown version")]
    [InlineData("bridge", "CNI portmap plugin v1.7.1\n", null)]
    [InlineData("portmap", "portmap v1.7.1", null)]
    [InlineData("portmap", "warning\nCNI portmap plugin v1.7.1\n", null)]
    [InlineData("portmap", "CNI portmap plugin v99999999999.1.1\n", null)]
    [InlineData("portmap", "CNI portmap plugin (devel)\n", null)]
    [InlineData("portmap", "", null)]
    public void Core_plugin_is_recognised_by_the_line_that_it_prints(string name, string text, string? expected) =>
        Assert.Equal(expected, CorePluginVersion.Parse(name, text)?.ToString());

    [Theory]
    [InlineData("v1.1.1", "v1.7.1", true)]
    [InlineData("v1.7.1", "v1.7.1", false)]
    [InlineData("v1.10.0", "v1.7.1", false)]
    [InlineData("v1.9.9", "v1.10.0", true)]
    public void Releases_are_compared_as_numbers(string present, string offered, bool expected) =>
        Assert.Equal(expected, Core(present).IsOlderThan(Core(offered), ProtocolSupport.Unknown("x"), ProtocolSupport.Unknown("x")));

    [Theory]
    [InlineData(TestPlugin.Old, TestPlugin.Current, true)]
    [InlineData(TestPlugin.Current, TestPlugin.Current, false)]
    [InlineData(TestPlugin.Current, TestPlugin.Old, false)]
    [InlineData("nothing", TestPlugin.Current, false)]
    public void Builds_without_a_release_are_compared_by_protocol_version(string present, string offered, bool expected) =>
        Assert.Equal(expected, Core("version unknown").IsOlderThan(Core("v1.7.1"), Support(present), Support(offered)));

    /// <summary>Tests with real plugins: Debian's 1.1.1.</summary>
    [Fact]
    public async Task Plugins_of_the_distribution_are_recognised()
    {
        var plugins = Directory.Exists("/usr/lib/cni") ? Directory.GetFiles("/usr/lib/cni") : [];
        Requirement.Need(plugins.Length > 10, "the core plugins in /usr/lib/cni (containernetworking-plugins)");
        var inquiry = new PluginInquiry(TimeProvider.System);
        foreach (var plugin in plugins)
        {
            Assert.NotNull(await inquiry.GetCoreVersionAsync(plugin, TestContext.Current.CancellationToken));
            Assert.True((await inquiry.GetProtocolSupportAsync(plugin, TestContext.Current.CancellationToken)).Supports("1.0.0"), plugin);
        }
    }

    private static CorePluginVersion Core(string text) => CorePluginVersion.Parse("portmap", $"CNI portmap plugin {text}\n")!;

    private static ProtocolSupport Support(string versions) => ProtocolSupport.Parse(0, $"{{\"supportedVersions\":{versions}}}");

    /// <summary>A zombie process counts as ended.</summary>
    private static bool IsRunning(string pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/stat").Split(") ")[1][0] != 'Z';
        }
        catch (IOException)
        {
            return false;
        }
    }

    private Task<ProtocolSupport> AskAsync() =>
        new PluginInquiry(TimeProvider.System).GetProtocolSupportAsync(Plugin, TestContext.Current.CancellationToken);
}
