// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.MissedDels;
using VpcCni.MissedDels;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.MissedDels;

/// <summary>Tests the folder with everything that may be in it.</summary>
public sealed class MissedDelFilesTests : IDisposable
{
    private static readonly MissedDel Note = new("aws-cni", "c1", "eth0", DateTimeOffset.UnixEpoch, TimeSpan.FromSeconds(7), "boot");

    private readonly string _parent = Directory.CreateTempSubdirectory("missed-dels-").FullName;
    private readonly ManualTimeProvider _time = new();
    private readonly MissedDelFiles _files;
    private int _arrived;

    public MissedDelFilesTests()
    {
        _files = new MissedDelFiles(Socket, _time, NullLogger<MissedDelFiles>.Instance);
        _files.Watch(() => Interlocked.Increment(ref _arrived));
    }

    private string Socket => Path.Combine(_parent, "ipamd.sock");

    private string Folder => Path.Combine(_parent, MissedDelFolder.Name);

    public void Dispose()
    {
        _files.Dispose();
        Directory.Delete(_parent, recursive: true);
    }

    [Fact]
    public void Folder_has_exactly_one_watcher()
    {
        Assert.Throws<InvalidOperationException>(() => _files.Watch(() => { }));
        using var unwatched = new MissedDelFiles(Socket, _time, NullLogger<MissedDelFiles>.Instance);
        Assert.Throws<InvalidOperationException>(unwatched.Read);
    }

    [Fact]
    public void First_read_creates_the_folder()
    {
        Assert.Empty(_files.Read().Entries);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Folder));
    }

    [Fact]
    public void Records_are_distinguished_from_other_files()
    {
        Leave('a', MissedDelFormat.Write(Note));
        Leave('b', "{\"version\":1"u8);
        Leave('c', new byte[MissedDelFolder.MaxBytes]);
        File.CreateSymbolicLink(PathOf('d'), "/etc/passwd");
        Directory.CreateDirectory(PathOf('e'));
        File.WriteAllBytes(PathOf('f'), new byte[100_000]);
        File.WriteAllText(Path.Combine(Folder, "README"), "");

        var reading = _files.Read();

        Assert.Equal(1, reading.Foreign);
        Assert.Equal(6, reading.Entries.Count);
        Assert.Equal(Note, Assert.Single(reading.Entries, entry => entry.Problem is null).Del);
        Assert.All(reading.Entries.Where(entry => entry.Del is null), entry => Assert.NotEmpty(entry.Problem!));
        foreach (var entry in reading.Entries)
            _files.Remove(entry);
        Assert.Equal(["README"], Directory.EnumerateFileSystemEntries(Folder).Select(Path.GetFileName));
    }

    [Fact]
    public void Newer_record_of_the_same_name_is_not_removed()
    {
        Leave('a', MissedDelFormat.Write(Note));
        var read = Assert.Single(_files.Read().Entries);
        Leave('a', MissedDelFormat.Write(Note with { SinceBoot = TimeSpan.FromSeconds(8) }));

        _files.Remove(read);

        Assert.Equal(TimeSpan.FromSeconds(8), Assert.Single(_files.Read().Entries).Del!.SinceBoot);
    }

    [Fact]
    public void Unfinished_record_is_removed_after_a_minute()
    {
        _files.Read();
        var unfinished = Path.Combine(Folder, $"{new string('a', 40)}.00000001.tmp");
        File.WriteAllText(unfinished, "{");

        Assert.Empty(_files.Read().Entries);
        _time.Advance(MissedDelFiles.AbandonedAfter - TimeSpan.FromSeconds(1));
        _files.Read();
        Assert.True(File.Exists(unfinished));
        _time.Advance(TimeSpan.FromSeconds(1));
        _files.Read();
        Assert.False(File.Exists(unfinished));
    }

    [Fact]
    public async Task New_record_is_notified_even_in_a_recreated_folder()
    {
        _files.Read();
        Leave('a', MissedDelFormat.Write(Note));
        await Eventually.TrueAsync(() => Volatile.Read(ref _arrived) > 0);

        Directory.Move(Folder, Folder + ".old");
        _files.Read();
        Volatile.Write(ref _arrived, 0);
        Leave('b', MissedDelFormat.Write(Note));
        await Eventually.TrueAsync(() => Volatile.Read(ref _arrived) > 0);
    }

    [Fact]
    public void Folder_that_is_a_link_is_not_read()
    {
        Directory.CreateSymbolicLink(Folder, Directory.CreateDirectory(Path.Combine(_parent, "elsewhere")).FullName);

        Assert.Contains("symbolic link", Assert.Throws<IOException>(_files.Read).Message, StringComparison.Ordinal);
    }

    private string PathOf(char digit)
    {
        Directory.CreateDirectory(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return Path.Combine(Folder, MissedDelFolder.FileName(new string(digit, 40)));
    }

    /// <summary>Writes a record as the plugin does.</summary>
    private void Leave(char digit, ReadOnlySpan<byte> content)
    {
        using var folder = MissedDelFolder.Open(Socket);
        folder.Write(new string(digit, 40), content, unique: 1);
    }
}
