// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using VpcCni.Logging;
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
    public void Lines_at_or_above_the_level_have_the_call_then_the_fields()
    {
        using (var log = Open(PluginLogLevel.Info))
        {
            log.Describe(new Invocation(CniCommand.Add, "c1", "/n", "eth0", new PodArguments("p", "ns", "", ""), false));
            log.Debug("hidden");
            log.Info("seen \"quoted\"\nsecond line", ("ip", "10.0.0.1"), ("empty", ""));
            log.Error("bad", new IOException("disk"));
        }

        var lines = File.ReadAllLines(LogPath);
        Assert.Equal(2, lines.Length);
        Assert.EndsWith(
            """level=info msg="seen \"quoted\"\nsecond line" command=ADD pod=ns/p containerId=c1 ifName=eth0 ip=10.0.0.1""",
            lines[0],
            StringComparison.Ordinal
        );
        Assert.EndsWith(
            "level=error msg=bad command=ADD pod=ns/p containerId=c1 ifName=eth0 error=disk",
            lines[1],
            StringComparison.Ordinal
        );
        Assert.Equal("", Stderr);
    }

    [Fact]
    public void Json_has_the_same_fields()
    {
        using (var log = Open(PluginLogLevel.Info, LogFormat.Json))
        {
            log.Describe(new Invocation(CniCommand.Del, "c1", "/n", "eth0", new PodArguments("p", "ns", "", ""), false));
            log.Warn("seen", ("error", "x"), ("count", 2));
        }

        var line = JsonDocument.Parse(File.ReadAllText(LogPath)).RootElement;
        Assert.Equal(
            ["time", "level", "msg", "command", "pod", "containerId", "ifName", "error", "count"],
            line.EnumerateObject().Select(field => field.Name)
        );
        Assert.Equal(("warn", "seen", "DEL", "ns/p"), (Text(line, "level"), Text(line, "msg"), Text(line, "command"), Text(line, "pod")));
        Assert.Equal(2, line.GetProperty("count").GetInt32());
    }

    [Fact]
    public void Only_a_defect_is_logged_with_its_stack()
    {
        using (var log = Open(PluginLogLevel.Info))
        {
            log.Error("expected", Thrown(new TimeoutException("late")));
            log.Error("defect", Thrown(new InvalidOperationException("broken")));
        }

        var lines = File.ReadAllLines(LogPath);
        Assert.EndsWith("msg=expected error=late", lines[0], StringComparison.Ordinal);
        Assert.Contains("error=\"InvalidOperationException: broken\" stack=\"", lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public void Lines_of_concurrent_writers_are_not_interleaved()
    {
        Parallel.For(
            0,
            8,
            writer =>
            {
                using var log = Open(PluginLogLevel.Info);
                for (var i = 0; i < 200; i++)
                    log.Info(new string((char)('a' + writer), 300));
            }
        );

        var lines = File.ReadAllLines(LogPath);
        Assert.Equal(1600, lines.Length);
        Assert.All(lines, line => Assert.Matches("^(.)\\1*$", line[(line.LastIndexOf('=') + 1)..]));
    }

    [Theory]
    [InlineData("folder", "it is a directory, expected a regular file")]
    [InlineData("fifo", "it is a FIFO or a socket, expected a regular file")]
    [InlineData("link", "it is a symbolic link, expected a regular file")]
    [InlineData("device", "it is a character device, expected a regular file")]
    [InlineData("no folder", "its folder does not exist and cannot be created")]
    public void Unwritable_file_is_replaced_by_stderr_and_reported_once(string what, string problem)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(LogPath)!);
        var path = LogPath;
        switch (what)
        {
            case "folder":
                Directory.CreateDirectory(path);
                break;
            case "link":
                File.CreateSymbolicLink(path, Path.Combine(_folder, "target"));
                break;
            case "device":
                path = "/dev/null";
                break;
            case "no folder":
                path = "/proc/none/plugin.log";
                break;
            default:
                using (var make = Process.Start("mkfifo", [path]))
                    make.WaitForExit();
                break;
        }
        using var log = Open(PluginLogLevel.Info, path: path);

        log.Info("one");
        log.Info("two");

        var lines = Stderr.TrimEnd().Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.Contains("the log file cannot be written", lines[0], StringComparison.Ordinal);
        Assert.Contains(problem, lines[0], StringComparison.Ordinal);
        Assert.EndsWith("msg=one", lines[1], StringComparison.Ordinal);
        Assert.EndsWith("msg=two", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Stderr_without_a_reader_is_written_once_and_is_no_failure()
    {
        using var stuck = new StuckStream();
        using var log = new PluginLog(stuck, TimeProvider.System);
        for (var i = 0; i < 5; i++)
            log.Error("x");
        Assert.Equal(1, stuck.Writes);
    }

    [Fact]
    public void File_over_the_bound_is_rotated()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(LogPath)!);
        using (var big = File.Create(LogPath))
            big.SetLength(33 * 1024 * 1024);
        using (var log = Open(PluginLogLevel.Info))
            log.Info("fresh");

        Assert.Single(File.ReadAllLines(LogPath));
        Assert.True(new FileInfo(LogPath + ".1").Length > 32 * 1024 * 1024);
    }

    private PluginLog Open(PluginLogLevel level, LogFormat format = LogFormat.Text, string? path = null)
    {
        var log = new PluginLog(_stderr, TimeProvider.System);
        log.Configure(
            new NetworkConfig
            {
                LogFile = path ?? LogPath,
                LogLevel = level,
                LogFormat = format,
            }
        );
        return log;
    }

    private static Exception Thrown(Exception exception)
    {
        try
        {
            throw exception;
        }
        catch (Exception thrown)
        {
            return thrown;
        }
    }

    private static string Text(JsonElement json, string key) => json.GetProperty(key).GetString()!;

    private sealed class StuckStream : MemoryStream
    {
        public int Writes { get; private set; }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Writes++;
            throw new IOException("descriptor 2 was not read");
        }
    }
}
