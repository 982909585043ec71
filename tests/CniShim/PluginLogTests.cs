// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json;
using Xunit;

namespace VpcCni.Shim.Tests;

public sealed class PluginLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("plugin-log-").FullName;
    private readonly MemoryStream _stderr = new();

    private string LogPath => Path.Combine(_folder, "sub", "plugin.log");
    private string Stderr => Encoding.UTF8.GetString(_stderr.ToArray());

    public void Dispose()
    {
        _stderr.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Lines_are_one_json_object_each_from_the_level_on()
    {
        using (var log = Open(PluginLogLevel.Info))
        {
            log.Describe(new Invocation(CniCommand.Add, "c1", "/n", "eth0", new PodArguments("p", "ns", "", ""), false));
            log.Debug("hidden");
            log.Info("seen \"quoted\"\nsecond line");
            log.Error("bad", new IOException("disk"));
        }

        var lines = File.ReadAllLines(LogPath);
        Assert.Equal(2, lines.Length);
        var first = JsonDocument.Parse(lines[0]).RootElement;
        Assert.Equal(("info", "seen \"quoted\"\nsecond line", "ADD", "c1", "ns/p"),
            (Text(first, "level"), Text(first, "msg"), Text(first, "command"), Text(first, "containerID"), Text(first, "pod")));
        Assert.Contains("disk", Text(JsonDocument.Parse(lines[1]).RootElement, "error"), StringComparison.Ordinal);
        Assert.Equal("", Stderr);
    }

    [Fact]
    public void Lines_of_many_writers_do_not_mix()
    {
        Parallel.For(0, 8, writer =>
        {
            using var log = Open(PluginLogLevel.Info);
            for (var i = 0; i < 200; i++) log.Info(new string((char)('a' + writer), 300));
        });

        var lines = File.ReadAllLines(LogPath);
        Assert.Equal(1600, lines.Length);
        Assert.All(lines, line => Assert.Matches("^(.)\\1*$", JsonDocument.Parse(line).RootElement.GetProperty("msg").GetString()!));
    }

    [Fact]
    public void File_that_cannot_be_written_goes_to_stderr_and_does_not_fail()
    {
        Directory.CreateDirectory(LogPath); // a folder where the file should be
        using var log = Open(PluginLogLevel.Info);

        log.Info("one");
        log.Info("two");

        var lines = Stderr.TrimEnd().Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.Contains("cannot write the log file", lines[0], StringComparison.Ordinal);
    }

    [Fact]
    public void File_over_the_bound_is_moved_aside()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(LogPath)!);
        using (var big = File.Create(LogPath)) big.SetLength(33 * 1024 * 1024);
        using (var log = Open(PluginLogLevel.Info)) log.Info("fresh");

        Assert.Single(File.ReadAllLines(LogPath));
        Assert.True(new FileInfo(LogPath + ".1").Length > 32 * 1024 * 1024);
    }

    private PluginLog Open(PluginLogLevel level)
    {
        var log = new PluginLog(_stderr, TimeProvider.System);
        log.Configure(new NetworkConfig { LogFile = LogPath, LogLevel = level });
        return log;
    }

    private static string Text(JsonElement json, string key) => json.GetProperty(key).GetString()!;
}
