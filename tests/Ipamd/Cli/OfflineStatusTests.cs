// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using VpcCni.Datapath;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

public sealed class OfflineStatusTests : IDisposable
{
    private static readonly DateTimeOffset Written = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-offline-");

    private string Checkpoint => Path.Combine(_folder.FullName, "ipam.json");
    private string Log => Path.Combine(_folder.FullName, "ipamd.log");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Files_of_a_stopped_daemon_are_printed_and_not_changed()
    {
        WriteCheckpoint();
        File.WriteAllLines(Log, Enumerable.Range(1, 30_000).Select(line => $"time=2026-03-01T12:00:00Z level=info msg=\"line {line}\""));
        var before = Content();
        var (code, output) = await RunAsync();
        Assert.Equal(0, code);
        Assert.StartsWith("OFFLINE ", output, StringComparison.Ordinal);
        Assert.Contains("not running: no process listens", output, StringComparison.Ordinal);
        Assert.Contains("17 on 2 interfaces, as last seen: 1 assigned, 1 cooling", output, StringComparison.Ordinal);
        Assert.Contains("10.0.0.9 default/web-1", output, StringComparison.Ordinal);
        Assert.Contains("remove eni-1", output, StringComparison.Ordinal);
        Assert.EndsWith("msg=\"line 30000\"\n", output, StringComparison.Ordinal);
        Assert.Equal(OfflineStatus.LogLines, output.Split('\n').Count(line => line.Contains("msg=", StringComparison.Ordinal)));
        Assert.Equal(before, Content());
    }

    [Fact]
    public async Task Json_has_the_same_content()
    {
        WriteCheckpoint();
        File.WriteAllText(Log, "one\ntwo\n");
        var (code, output) = await RunAsync("--json");
        Assert.Equal(0, code);
        using var document = JsonDocument.Parse(output);
        var root = document.RootElement;
        Assert.True(root.GetProperty("offline").GetBoolean());
        var attachment = Assert.Single(root.GetProperty("checkpoint").GetProperty("attachments").EnumerateArray());
        Assert.Equal(
            ("web-1", "10.0.0.9", "eni-0"),
            (
                attachment.GetProperty("podName").GetString(),
                attachment.GetProperty("addresses")[0].GetString(),
                attachment.GetProperty("interfaceId").GetString()
            )
        );
        Assert.Equal(16, root.GetProperty("checkpoint").GetProperty("interfaces")[1].GetProperty("total").GetInt32());
        Assert.Equal(["one", "two"], root.GetProperty("log").GetProperty("lines").EnumerateArray().Select(line => line.GetString()));
    }

    [Theory]
    [InlineData("nothing", "it does not exist")]
    [InlineData("garbage", "it is unusable: not a checkpoint")]
    [InlineData("folder", "it is unusable: ")]
    [InlineData("link", "is a symbolic link")]
    [InlineData("huge", "expected at most")]
    public async Task Unreadable_checkpoint_is_reported_and_not_changed(string kind, string expected)
    {
        if (kind == "garbage")
            File.WriteAllText(Checkpoint, "{");
        if (kind == "folder")
            Directory.CreateDirectory(Checkpoint);
        if (kind == "link")
            File.CreateSymbolicLink(Checkpoint, "/etc/passwd");
        if (kind == "huge")
        {
            using var file = new FileStream(Checkpoint, FileMode.Create);
            file.SetLength(3L * 1024 * 1024 * 1024);
        }

        var before = _folder.GetFileSystemInfos().Select(item => item.Name);
        var (code, output) = await RunAsync();
        Assert.Equal(1, code);
        Assert.Contains(
            expected,
            string.Join(' ', output.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries)),
            StringComparison.Ordinal
        );
        Assert.Equal(before, _folder.GetFileSystemInfos().Select(item => item.Name));
        using var document = JsonDocument.Parse((await RunAsync("--json")).Output);
        Assert.NotEqual("", document.RootElement.GetProperty("checkpoint").GetProperty("problem").GetString());
    }

    [Fact]
    public async Task Log_on_a_stream_is_not_read()
    {
        WriteCheckpoint();
        using var output = new StringWriter { NewLine = "\n" };
        Assert.Equal(0, await OfflineReport.WriteAsync(OfflineStatus.Read(Options with { LogFile = "stdout" }, Time), json: false, output));
        Assert.Contains("the daemon logs to stdout", output.ToString(), StringComparison.Ordinal);
    }

    private IpamdOptions Options =>
        new()
        {
            CheckpointPath = Checkpoint,
            LogFile = Log,
            SocketPath = Path.Combine(_folder.FullName, "ipamd.sock"),
        };

    private static ManualTimeProvider Time => new(Written.AddMinutes(5));

    private async Task<(int Code, string Output)> RunAsync(params string[] more)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var commands = TestCommands.Create(new CommandConsole(output, TextWriter.Null), Time);
        return (await commands.InvokeAsync(["status", "--offline", .. more], Options), output.ToString());
    }

    private void WriteCheckpoint()
    {
        var (first, second) = (new NetworkInterfaceId("eni-0"), new NetworkInterfaceId("eni-1"));
        var attachment = new Attachment
        {
            Key = new AttachmentKey("aws-cni", "0123456789ab", "eth0"),
            Pod = new PodReference("default", "web-1"),
            AssignedAt = Written.AddHours(-1),
            Interfaces = [new AttachmentInterface("eth0", [IPAddress.Parse("10.0.0.9")], new InterfaceSlot(first, new Slot(0, 0)))],
        };
        CoolingAddress[] cooling = [new CoolingAddress(IPAddress.Parse("10.0.1.17"), Written.AddSeconds(-3))];
        File.WriteAllBytes(
            Checkpoint,
            CheckpointFormat.Write(
                new LedgerRecord([attachment], cooling)
                {
                    WrittenAt = new ClockReading(Written, TimeSpan.FromHours(2)),
                    Interfaces =
                    [
                        new KnownInterface(first, new Slot(0, 0), IsExcluded: false, [IPNetwork.Parse("10.0.0.9/32")]),
                        new KnownInterface(second, new Slot(0, 1), IsExcluded: false, [IPNetwork.Parse("10.0.1.16/28")]),
                    ],
                    Intents =
                    [
                        new Intent(
                            1,
                            Written,
                            "token",
                            new PoolChange.RemoveInterface(second, new Slot(0, 1), IPAddress.Parse("10.0.1.4"))
                        ),
                    ],
                }
            )
        );
    }

    private string Content() =>
        string.Join(
            '\n',
            _folder
                .GetFiles()
                .OrderBy(file => file.Name, StringComparer.Ordinal)
                .Select(file =>
                    $"{file.Name} {file.LastWriteTimeUtc:O} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file.FullName)))}"
                )
        );
}
