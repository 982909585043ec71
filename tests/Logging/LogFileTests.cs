// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Xunit;

namespace VpcCni.Logging.Tests;

public sealed class LogFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("log-file-").FullName;

    private string LogPath => Path.Combine(_folder, "sub", "x.log");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Folder_is_created_and_lines_are_appended()
    {
        using (var file = Open())
            Assert.Null(file.TryWrite("one\n"u8));
        using (var file = Open())
            Assert.Null(file.TryWrite("two\n"u8));
        Assert.Equal("one\ntwo\n", File.ReadAllText(LogPath));
    }

    [Fact]
    public void Full_file_is_rotated_and_old_files_are_deleted()
    {
        using (var file = Open(rotateAt: 8, kept: 2))
            for (var i = 0; i < 7; i++)
                Assert.Null(file.TryWrite(Encoding.UTF8.GetBytes($"no. {i}\n")));

        Assert.Equal(
            ["x.log", "x.log.1", "x.log.2"],
            Directory.GetFiles(Path.GetDirectoryName(LogPath)!).Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );
        Assert.Equal("no. 6\n", File.ReadAllText(LogPath));
        Assert.Equal("no. 4\nno. 5\n", File.ReadAllText(LogPath + ".1"));
    }

    [Fact]
    public void Fifo_with_or_without_a_reader_is_rejected_at_once()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(LogPath)!);
        using (var make = Process.Start("mkfifo", [LogPath]))
            make.WaitForExit();
        using (var file = Open())
            Assert.Equal("it is a FIFO or a socket, expected a regular file", file.TryWrite("x\n"u8));

        // Opened for reading and writing, so that this open does not block either.
        using var reader = new FileStream(
            LogPath,
            new FileStreamOptions
            {
                Mode = FileMode.Open,
                Access = FileAccess.ReadWrite,
                BufferSize = 0,
            }
        );
        using (var file = Open())
            Assert.Equal("it is a FIFO, expected a regular file", file.TryWrite("x\n"u8));
    }

    [Fact]
    public void File_that_is_not_regular_is_rejected_by_type()
    {
        using (var device = new LogFile("/dev/null", 1000, 1))
            Assert.Equal("it is a character device, expected a regular file", device.TryWrite("x\n"u8));
        using (var folder = new LogFile(_folder, 1000, 1))
            Assert.Equal("it is a directory, expected a regular file", folder.TryWrite("x\n"u8));

        var target = Path.Combine(_folder, "target");
        var link = Path.Combine(_folder, "link");
        File.CreateSymbolicLink(link, target);
        using (var linked = new LogFile(link, 1000, 1))
            Assert.Equal("it is a symbolic link, expected a regular file", linked.TryWrite("x\n"u8));
        Assert.False(File.Exists(target));

        var path = Path.Combine(_folder, "s");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        using (var bound = new LogFile(path, 1000, 1))
            Assert.Equal("it is a FIFO or a socket, expected a regular file", bound.TryWrite("x\n"u8));
    }

    [Fact]
    public void Folder_that_cannot_be_created_is_named()
    {
        File.WriteAllText(Path.Combine(_folder, "sub"), "");
        using var file = Open();
        Assert.NotNull(file.TryWrite("x\n"u8));
        using var proc = new LogFile("/proc/no-such-folder/x.log", 1000, 1);
        Assert.StartsWith("its folder does not exist and cannot be created", proc.TryWrite("x\n"u8), StringComparison.Ordinal);
    }

    [Fact]
    public void Failed_file_is_opened_again_with_the_next_line()
    {
        Directory.CreateDirectory(LogPath);
        using var file = Open();
        Assert.NotNull(file.TryWrite("x\n"u8));
        Directory.Delete(LogPath);
        Assert.Null(file.TryWrite("y\n"u8));
        Assert.Equal("y\n", File.ReadAllText(LogPath));
    }

    private LogFile Open(long rotateAt = 1_000_000, int kept = 1) => new(LogPath, rotateAt, kept);
}
