// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.MissedDels.Tests;

/// <summary>Tests the folder of missed DELs, and every type of file that may be in the place of a record.</summary>
public sealed class FolderTests : IDisposable
{
    private const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private static readonly string Hash = new('a', 40);

    private readonly string _parent = Directory.CreateTempSubdirectory("missed-dels-").FullName;

    private string Socket => Path.Combine(_parent, "ipamd.sock");

    private string Folder => Path.Combine(_parent, MissedDelFolder.Name);

    public void Dispose() => Directory.Delete(_parent, recursive: true);

    [Fact]
    public void Folder_and_files_are_created_for_the_owner_only()
    {
        using var folder = MissedDelFolder.Open(Socket);

        folder.Write(Hash, "{}"u8, unique: 1);

        Assert.Equal(Owner, File.GetUnixFileMode(Folder));
        var file = Path.Combine(Folder, Hash + ".json");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.Equal([Path.GetFileName(file)], folder.Names(10));
        Assert.Equal("{}"u8, folder.Read(Path.GetFileName(file))!);
    }

    [Fact]
    public void Repeated_del_of_an_attachment_replaces_its_record()
    {
        using var folder = MissedDelFolder.Open(Socket);
        folder.Write(Hash, "first, and longer"u8, unique: 1);

        folder.Write(Hash, "second"u8, unique: 1);

        Assert.Equal("second"u8, folder.Read(MissedDelFolder.FileName(Hash))!);
        Assert.Single(folder.Names(10));
    }

    [Fact]
    public void Folder_writable_by_others_is_rejected()
    {
        Directory.CreateDirectory(Folder);
        File.SetUnixFileMode(Folder, Owner | UnixFileMode.GroupWrite);

        var refused = Assert.Throws<IOException>(() => MissedDelFolder.Open(Socket));

        Assert.Contains("720", refused.Message, StringComparison.Ordinal);
        Assert.Contains("remove it", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Link_or_file_with_the_name_of_the_folder_is_rejected()
    {
        var elsewhere = Directory.CreateDirectory(Path.Combine(_parent, "elsewhere")).FullName;
        Directory.CreateSymbolicLink(Folder, elsewhere);
        Assert.Contains("symbolic link", Assert.Throws<IOException>(() => MissedDelFolder.Open(Socket)).Message, StringComparison.Ordinal);
        File.Delete(Folder);

        File.WriteAllText(Folder, "");
        Assert.Contains("not a folder", Assert.Throws<IOException>(() => MissedDelFolder.Open(Socket)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_folder_of_the_socket_has_no_records() =>
        Assert.Contains(
            "no such file",
            Assert.Throws<IOException>(() => MissedDelFolder.Open(Path.Combine(_parent, "none", "ipamd.sock"))).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void Full_folder_rejects_new_records_and_replaces_old_ones()
    {
        using var folder = MissedDelFolder.Open(Socket);
        folder.Write(Hash, "{}"u8, unique: 1);
        for (var index = 1; index < MissedDelFolder.MaxFiles; index++)
            File.WriteAllBytes(Path.Combine(Folder, $"{index}"), []);

        var refused = Assert.Throws<IOException>(() => folder.Write(new string('b', 40), "{}"u8, unique: 1));
        folder.Write(Hash, "again"u8, unique: 1);

        Assert.Contains($"{MissedDelFolder.MaxFiles} files", refused.Message, StringComparison.Ordinal);
        Assert.Equal(MissedDelFolder.MaxFiles, folder.Names(2 * MissedDelFolder.MaxFiles).Count);
        Assert.Equal("again"u8, folder.Read(MissedDelFolder.FileName(Hash))!);
    }

    [Fact]
    public void Record_that_is_too_large_is_neither_written_nor_read()
    {
        using var folder = MissedDelFolder.Open(Socket);
        Assert.Throws<IOException>(() => folder.Write(Hash, new byte[MissedDelFolder.MaxBytes + 1], unique: 1));
        Assert.Empty(folder.Names(10));

        File.WriteAllBytes(Path.Combine(Folder, "large"), new byte[MissedDelFolder.MaxBytes + 1]);
        Assert.Contains(
            $"{MissedDelFolder.MaxBytes + 1} bytes",
            Assert.Throws<FormatException>(() => folder.Read("large")).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void File_that_is_not_regular_is_not_read_and_can_be_removed()
    {
        using var folder = MissedDelFolder.Open(Socket);
        var secret = Path.Combine(_parent, "secret");
        File.WriteAllText(secret, "secret");
        File.CreateSymbolicLink(Path.Combine(Folder, "link"), secret);
        Directory.CreateDirectory(Path.Combine(Folder, "folder"));
        MakeFifo(Path.Combine(Folder, "fifo"));

        foreach (var name in (string[])["link", "folder", "fifo"])
        {
            Assert.Throws<FormatException>(() => folder.Read(name));
            folder.Remove(name);
        }

        Assert.Empty(folder.Names(10));
        Assert.Equal("secret", File.ReadAllText(secret));
    }

    [Fact]
    public void Directory_that_is_not_empty_stays()
    {
        using var folder = MissedDelFolder.Open(Socket);
        Directory.CreateDirectory(Path.Combine(Folder, "folder", "inner"));

        Assert.Contains("not empty", Assert.Throws<IOException>(() => folder.Remove("folder")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_record_is_null_and_its_removal_succeeds()
    {
        using var folder = MissedDelFolder.Open(Socket);

        folder.Remove("none");

        Assert.Null(folder.Read("none"));
    }

    [Fact]
    public void Link_with_the_name_of_an_unfinished_record_is_not_followed()
    {
        using var folder = MissedDelFolder.Open(Socket);
        var target = Path.Combine(_parent, "target");
        File.CreateSymbolicLink(Path.Combine(Folder, $"{Hash}.00000001.tmp"), target);

        Assert.Throws<IOException>(() => folder.Write(Hash, "{}"u8, unique: 1));

        Assert.False(File.Exists(target));
    }

    [Fact]
    public void Delete_removes_records_and_folder_and_keeps_foreign_files()
    {
        Assert.Equal(0, MissedDelFolder.Delete(Socket));
        using (var folder = MissedDelFolder.Open(Socket))
            folder.Write(Hash, "{}"u8, unique: 1);
        File.WriteAllText(Path.Combine(Folder, "README"), "");

        Assert.Equal(1, MissedDelFolder.Delete(Socket));
        Assert.Equal(["README"], Directory.EnumerateFileSystemEntries(Folder).Select(Path.GetFileName));
        File.Delete(Path.Combine(Folder, "README"));
        Assert.Equal(0, MissedDelFolder.Delete(Socket));
        Assert.False(Directory.Exists(Folder));
    }

    [Fact]
    public void Delete_follows_no_link()
    {
        var elsewhere = Directory.CreateDirectory(Path.Combine(_parent, "elsewhere")).FullName;
        File.WriteAllText(Path.Combine(elsewhere, MissedDelFolder.FileName(Hash)), "");
        Directory.CreateSymbolicLink(Folder, elsewhere);

        Assert.Throws<IOException>(() => MissedDelFolder.Delete(Socket));

        Assert.Single(Directory.GetFiles(elsewhere));
    }

    [Theory]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.json", true, false)]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.0000000f.tmp", false, true)]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag.json", false, false)]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.json", false, false)]
    [InlineData("a.json", false, false)]
    [InlineData(".tmp", false, false)]
    [InlineData("", false, false)]
    public void Name_identifies_the_type_of_file(string name, bool isRecord, bool isUnfinished) =>
        Assert.Equal((isRecord, isUnfinished), (MissedDelFolder.IsRecord(name), MissedDelFolder.IsUnfinished(name)));

    [Fact]
    public void Names_of_a_large_folder_are_complete()
    {
        using var folder = MissedDelFolder.Open(Socket);
        string[] names = [.. Enumerable.Range(0, 2000).Select(index => $"{index:0000}-ü")];
        foreach (var name in names)
            File.WriteAllBytes(Path.Combine(Folder, name), []);

        Assert.Equal(names, folder.Names(10_000).Order(StringComparer.Ordinal));
        Assert.Equal(100, folder.Names(100).Count);
    }

    private static void MakeFifo(string path)
    {
        using var process = System.Diagnostics.Process.Start("mkfifo", [path]);
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(5)) && process.ExitCode == 0);
    }
}
