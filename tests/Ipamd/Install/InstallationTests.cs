// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using VpcCni.Ipamd.Install;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Install;

/// <summary>Tests the daemon's installation of itself, and its repair of later changes.</summary>
public sealed class InstallationTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-installation-");
    private readonly ManualTimeProvider _time = new();
    private readonly LinesLogger _log = new();
    private readonly CancellationTokenSource _stop = new();
    private volatile bool _isReady;

    private string Bin => Path.Combine(_folder.FullName, "bin");

    private string Configuration => Path.Combine(_folder.FullName, "conf", Conflist.FileName);

    private string Plugin => Path.Combine(_folder.FullName, "app", "vpc-cni");

    public InstallationTests()
    {
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "app", "cni"));
        File.WriteAllText(Plugin, "plugin");
        TestPlugin.Write(Path.Combine(_folder.FullName, "app", "cni", "portmap"), "of the image");
    }

    public void Dispose()
    {
        _stop.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Configuration_waits_for_readiness_and_the_plugin_does_not()
    {
        var (installation, running) = Start();
        Assert.True(File.Exists(Path.Combine(Bin, "vpc-cni")));
        Pass(TimeSpan.FromMinutes(2));
        Assert.False(File.Exists(Configuration));
        _isReady = true;
        Pass(TimeSpan.FromSeconds(1));
        Assert.True(File.Exists(Configuration));
        Assert.Null(installation.Problem);
        await StopAsync(running);
    }

    [Fact]
    public async Task Deleted_files_are_restored_within_a_minute()
    {
        _isReady = true;
        var (_, running) = Start();
        Pass(TimeSpan.FromSeconds(1));
        File.Delete(Configuration);
        File.Delete(Path.Combine(Bin, "vpc-cni"));
        Pass(Installation.CheckInterval);
        Assert.True(File.Exists(Configuration));
        Assert.True(File.Exists(Path.Combine(Bin, "vpc-cni")));
        await StopAsync(running);
    }

    [Fact]
    public async Task Configuration_of_another_network_is_reported_once_and_kept()
    {
        _isReady = true;
        var (installation, running) = Start();
        Pass(TimeSpan.FromSeconds(1));
        const string other = """{"cniVersion":"0.4.0","name":"aws-cni","plugins":[{"type":"aws-cni"}]}""";
        File.WriteAllText(Configuration, other);
        Pass(3 * Installation.CheckInterval);
        Assert.Equal(other, File.ReadAllText(Configuration));
        Assert.Contains("belongs to another network", installation.Problem, StringComparison.Ordinal);
        Assert.Single(_log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));

        File.Delete(Configuration);
        Pass(Installation.CheckInterval);
        Assert.Null(installation.Problem);
        Assert.True(Conflist.IsOurs(File.ReadAllBytes(Configuration)));
        await StopAsync(running);
    }

    [Fact]
    public async Task Chained_plugin_survives_a_restart_with_a_warning()
    {
        Directory.CreateDirectory(Options.ConfigurationFolder);
        File.WriteAllText(Configuration, """{"cniVersion":"1.0.0","name":"aws-cni","plugins":[{"type":"vpc-cni"},{"type":"istio-cni"}]}""");
        _isReady = true;
        var (_, running) = Start();
        Pass(TimeSpan.FromSeconds(1));
        Assert.Equal("istio-cni", Assert.Single(Conflist.ChainedByOthers(File.ReadAllBytes(Configuration))).Type);
        Assert.Single(
            _log.Lines,
            line => line.StartsWith("Warning", StringComparison.Ordinal) && line.Contains("istio-cni", StringComparison.Ordinal)
        );
        await StopAsync(running);
    }

    [Fact]
    public async Task Unwritable_folder_is_reported_once_and_retried()
    {
        File.WriteAllText(Bin, "a file where the folder should be");
        var (installation, running) = Start();
        Pass(TimeSpan.FromSeconds(21));
        Assert.NotNull(installation.Problem);
        Assert.Single(_log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
        File.Delete(Bin);
        _isReady = true;
        Pass(TimeSpan.FromSeconds(10));
        Assert.True(File.Exists(Configuration));
        Assert.Null(installation.Problem);
        await StopAsync(running);
    }

    /// <summary>Opening a folder as a file fails even for root, with the message of a folder of another user.</summary>
    [Fact]
    public async Task Denied_access_names_the_missing_capability()
    {
        File.Delete(Plugin);
        Directory.CreateDirectory(Plugin);
        var (installation, running) = Start();
        Assert.Contains("DAC_OVERRIDE", installation.Problem, StringComparison.Ordinal);
        await StopAsync(running);
    }

    [Fact]
    public async Task Plugins_of_the_node_are_not_replaced_by_those_of_the_image()
    {
        var (_, running) = Start();
        Assert.Equal("of the image", File.ReadAllText(Path.Combine(Bin, "portmap")));
        await StopAsync(running);
        File.WriteAllText(Path.Combine(Bin, "portmap"), "of the node");
        List<string> warned = [];
        var installer = new Installer(Options, new PluginInquiry(TimeProvider.System), _ => { }, warned.Add);
        await installer.InstallCorePluginsAsync(Installer.CorePluginsBeside(Plugin), TestContext.Current.CancellationToken);
        Assert.Contains("does not identify itself as a core plugin", Assert.Single(warned), StringComparison.Ordinal);
        Assert.Equal("of the node", File.ReadAllText(Path.Combine(Bin, "portmap")));
    }

    [Fact]
    public async Task Missing_plugin_of_the_chain_is_restored_or_a_problem()
    {
        _isReady = true;
        var (installation, running) = Start();
        Pass(TimeSpan.FromSeconds(1));
        File.Delete(Path.Combine(Bin, "portmap"));
        Pass(Installation.CheckInterval);
        Assert.Equal("of the image", File.ReadAllText(Path.Combine(Bin, "portmap")));
        Assert.Null(installation.Problem);

        File.Delete(Path.Combine(_folder.FullName, "app", "cni", "portmap"));
        File.Delete(Path.Combine(Bin, "portmap"));
        Pass(3 * Installation.CheckInterval);
        Assert.StartsWith("portmap, which 10-aws.conflist calls, is not in", installation.Problem, StringComparison.Ordinal);
        Assert.Single(_log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));

        File.WriteAllText(Path.Combine(Bin, "portmap"), "of somebody");
        Pass(Installation.CheckInterval);
        Assert.Null(installation.Problem);
        await StopAsync(running);
    }

    /// <summary>Real programs run in real time while the daemon's clock stands still.</summary>
    [Fact]
    public async Task Optional_core_plugins_come_later_and_versions_follow_the_chain()
    {
        var image = Path.Combine(_folder.FullName, "app", "cni");
        TestPlugin.WriteCore(Plugin, "v0");
        foreach (var name in (string[])["portmap", "loopback", "macvlan"])
            TestPlugin.WriteCore(Path.Combine(image, name), "v1.7.1");
        var (_, running) = Start();
        await Eventually.TrueAsync(() => File.Exists(Path.Combine(Bin, "loopback")) && File.Exists(Path.Combine(Bin, "portmap")));
        Assert.False(File.Exists(Path.Combine(Bin, "macvlan")));
        _isReady = true;
        // A question to a plugin has a timer, too, and time that passes while it runs would end it.
        await Eventually.TrueAsync(() => _time.NextDueIn < PluginInquiry.Deadline, what: "the daemon polls for readiness");
        Pass(TimeSpan.FromSeconds(1));
        await Eventually.TrueAsync(() => File.Exists(Path.Combine(Bin, "macvlan")));
        Assert.True(Conflist.HasStatus(File.ReadAllBytes(Configuration)));

        // A newer release without 1.1.0 stays, and the configuration follows it.
        TestPlugin.WriteCore(Path.Combine(Bin, "portmap"), "v2.0.0", TestPlugin.Old);
        await Eventually.TrueAsync(
            () =>
            {
                // A question that failed, as when another test's child process still has the program open for writing, is repeated soon.
                if (_time.NextDueIn < PluginInquiry.Deadline)
                    Pass(_time.NextDueIn.Value);
                return _time.NextDueIn > PluginInquiry.Deadline;
            },
            what: "the daemon waits for its next check"
        );
        Pass(Installation.CheckInterval);
        await Eventually.TrueAsync(() => !Conflist.HasStatus(File.ReadAllBytes(Configuration)));
        Assert.Single(_log.Lines, line => line.Contains("the plugin portmap supports 1.0.0 at most", StringComparison.Ordinal));
        await StopAsync(running);
    }

    [Fact]
    public async Task Hanging_plugin_delays_the_configuration_by_its_deadline_only()
    {
        TestPlugin.WriteCore(Plugin, "v0");
        var started = Path.Combine(_folder.FullName, "started");
        TestPlugin.WriteAnswer(Path.Combine(_folder.FullName, "app", "cni", "portmap"), $"echo > {started}; exec sleep 3600");
        _isReady = true;
        var (_, running) = Start();
        await Eventually.TrueAsync(() => File.Exists(started));
        Assert.False(File.Exists(Configuration));
        Pass(PluginInquiry.Deadline);
        await Eventually.TrueAsync(() => File.Exists(Configuration));
        Assert.False(Conflist.HasStatus(File.ReadAllBytes(Configuration)));
        Assert.Single(_log.Lines, line => line.Contains("the plugin portmap did not answer within 5 s", StringComparison.Ordinal));
        await StopAsync(running);
    }

    [Fact]
    public async Task File_that_is_not_a_core_plugin_is_reported_once()
    {
        TestPlugin.Write(Path.Combine(_folder.FullName, "app", "cni", "macvlan"), "of the image");
        Directory.CreateDirectory(Bin);
        File.WriteAllText(Path.Combine(Bin, "macvlan"), "of somebody");
        _isReady = true;
        var (_, running) = Start();
        Pass(3 * Installation.CheckInterval);
        Assert.Single(_log.Lines, line => line.Contains("macvlan does not identify itself as a core plugin", StringComparison.Ordinal));
        await StopAsync(running);
    }

    private InstallOptions Options => new() { PluginFolder = Bin, ConfigurationFolder = Path.Combine(_folder.FullName, "conf") };

    private (Installation Installation, Task Running) Start()
    {
        var installation = new Installation(Options, Plugin, () => _isReady, _time, _log);
        return (installation, installation.RunAsync(_stop.Token));
    }

    /// <summary>Advances in small steps, so that every timer fires in order.</summary>
    private void Pass(TimeSpan duration)
    {
        for (var passed = TimeSpan.Zero; passed < duration; passed += TimeSpan.FromMilliseconds(100))
            _time.Advance(TimeSpan.FromMilliseconds(100));
    }

    private async Task StopAsync(Task running)
    {
        await _stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private sealed class LinesLogger : ILogger<Installation>
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Lines.Add($"{logLevel} {LogFields.Text(state, formatter)}");
    }
}
