// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Ledger;

/// <summary>Whatever exists at the checkpoint's path, the daemon starts, reports it and sets it aside.</summary>
public sealed class CheckpointFileTests : IDisposable
{
    private static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vpccni-checkpoint-");

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    private string File => Path.Combine(_folder.FullName, "ipam.json");

    public void Dispose()
    {
        _socket.Dispose();
        _folder.Delete(recursive: true);
    }

    public static TheoryData<string, string> Unusable =>
        new()
        {
            { "directory", "is a directory" },
            { "fifo", "is not a regular file" },
            { "socket", "is not a regular file" },
            { "link", "is a symbolic link" },
            { "3 GB", "bytes, expected at most" },
        };

    [Theory]
    [MemberData(nameof(Unusable))]
    public void Path_that_is_no_checkpoint_is_set_aside_and_reported(string what, string reason)
    {
        Put(what);
        var file = new CheckpointFile(File);
        Assert.Contains(reason, Assert.Throws<CheckpointFormatException>(() => file.Read()).Message, StringComparison.Ordinal);

        CheckpointLoader.Load(
            new IpLedger(TimeSpan.Zero, PodFamilies.Ipv4, prefersPrefixes: false),
            file,
            new ManualTimeProvider(),
            bootId: null,
            NullLogger.Instance
        );
        Assert.Single(Directory.GetFileSystemEntries(_folder.FullName, "ipam.json.corrupt-*"));
        file.Write("new"u8);
        Assert.Equal("new", Encoding.UTF8.GetString(file.Read()!));
    }

    [Fact]
    public void Files_set_aside_are_bounded_to_the_newest()
    {
        var file = new CheckpointFile(File);
        for (var day = 0; day < CheckpointFile.MaxAside + 3; day++)
        {
            file.Write(Encoding.UTF8.GetBytes($"day {day}"));
            file.SetAside(Start.AddDays(day));
        }

        string[] left = [.. Directory.GetFiles(_folder.FullName).Order(StringComparer.Ordinal).Select(System.IO.File.ReadAllText)];
        Assert.Equal(["day 3", "day 4", "day 5", "day 6", "day 7"], left);
    }

    [Fact]
    public void Link_at_the_temporary_path_is_not_followed()
    {
        var victim = Path.Combine(_folder.FullName, "victim");
        System.IO.File.WriteAllText(victim, "untouched");
        System.IO.File.CreateSymbolicLink(File + ".tmp", victim);
        new CheckpointFile(File).Write("new"u8);
        Assert.Equal(("untouched", "new"), (System.IO.File.ReadAllText(victim), System.IO.File.ReadAllText(File)));
    }

    private void Put(string what)
    {
        switch (what)
        {
            case "directory":
                Directory.CreateDirectory(File);
                break;
            case "link":
                System.IO.File.CreateSymbolicLink(File, "/etc/passwd");
                break;
            case "3 GB":
                using (var sparse = System.IO.File.Create(File))
                    sparse.SetLength(3L << 30);
                break;
            case "socket":
                // Disposing the socket removes the file.
                _socket.Bind(new UnixDomainSocketEndPoint(File));
                break;
            default:
                using (var mkfifo = Process.Start("mkfifo", [File]))
                    mkfifo.WaitForExit();
                break;
        }
    }
}
