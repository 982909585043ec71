// SPDX-License-Identifier: Apache-2.0
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace VpcCni.MissedDels;

/// <summary>
/// The folder of notes, <c>missed-dels</c> beside the daemon's socket: its user's alone, bounded, and reached through one descriptor. Each
/// daemon of a machine has its own. Failures are <see cref="IOException"/> with a sentence that names the path.
/// </summary>
public sealed class MissedDelFolder : IDisposable
{
    public const string Name = "missed-dels";

    /// <summary>Files in the folder, notes or not: a node runs some hundred pods, and each has one or two interfaces.</summary>
    public const int MaxFiles = 4096;

    /// <summary>Bytes of a note; it has some 300.</summary>
    public const int MaxBytes = 4096;

    /// <summary>What a plugin writes before it is renamed; a crash leaves it.</summary>
    private const string Unfinished = ".tmp";

    private const string Finished = ".json";

    /// <summary>Hexadecimal digits of SHA-1.</summary>
    private const int HashLength = 40;

    /// <summary>A dot and eight hexadecimal digits.</summary>
    private const int UniqueLength = 9;

    private const int OwnerOnlyFolder = 0x1C0; // 0700
    private const int OwnerOnlyFile = 0x180; // 0600
    private const int OthersMayWrite = 0x12; // 0022

    private readonly SafeFileHandle _folder;

    private MissedDelFolder(SafeFileHandle folder, string path, ulong inode) => (_folder, Path, Inode) = (folder, path, inode);

    public string Path { get; }

    private int Descriptor => (int)_folder.DangerousGetHandle();

    private static int ReadFolder => FolderCalls.O_RDONLY | FolderCalls.O_DIRECTORY;

    /// <summary>Tells this folder from one that took its place.</summary>
    public ulong Inode { get; }

    /// <summary>Of the daemon that listens on that socket.</summary>
    public static string PathBeside(string socketPath) =>
        System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(socketPath)) ?? "/", Name);

    /// <summary>Opens it, and makes it first where the socket's folder has none.</summary>
    /// <exception cref="IOException">There is something else, or others may write to it, or the socket's folder does not exist.</exception>
    public static MissedDelFolder Open(string socketPath)
    {
        var path = PathBeside(socketPath);
        var parentPath = System.IO.Path.GetDirectoryName(path)!;
        using var parent =
            FolderCalls.TryOpen(FolderCalls.AT_FDCWD, parentPath, ReadFolder, out var errno, follows: true)
            ?? throw new IOException($"open {parentPath}: {FolderCalls.Describe(errno)}");
        errno = FolderCalls.MakeFolder(parent, Name, OwnerOnlyFolder);
        if (errno is not (0 or FolderCalls.EEXIST))
            throw new IOException($"mkdir {path}: {FolderCalls.Describe(errno)}");
        return OpenIn(parent, path, out errno) ?? throw new IOException($"open {path}: {FolderCalls.Describe(errno)}");
    }

    /// <summary>Removes it with all notes, for a node that no daemon of ours comes back to.</summary>
    /// <returns>How many other files are in it, for which it stays; 0: it is gone.</returns>
    /// <exception cref="IOException">It cannot be removed, or is no such folder.</exception>
    public static int Delete(string socketPath)
    {
        var path = PathBeside(socketPath);
        using var parent = FolderCalls.TryOpen(
            FolderCalls.AT_FDCWD,
            System.IO.Path.GetDirectoryName(path)!,
            ReadFolder,
            out var errno,
            follows: true
        );
        if (parent is null)
            return errno == FolderCalls.ENOENT
                ? 0
                : throw new IOException($"open {System.IO.Path.GetDirectoryName(path)}: {FolderCalls.Describe(errno)}");
        using (var folder = OpenIn(parent, path, out _))
        {
            if (folder is null)
                return 0;
            foreach (var name in folder.Names(2 * MaxFiles).Where(name => IsNote(name) || IsUnfinished(name)))
                folder.Remove(name);
            if (folder.Names(2 * MaxFiles) is { Count: > 0 } others)
                return others.Count;
        }

        errno = FolderCalls.Unlink(parent, Name, FolderCalls.AT_REMOVEDIR);
        return errno is 0 or FolderCalls.ENOENT ? 0 : throw new IOException($"rmdir {path}: {FolderCalls.Describe(errno)}");
    }

    /// <summary>Null when there is none.</summary>
    private static MissedDelFolder? OpenIn(SafeFileHandle parent, string path, out int errno)
    {
        var folder = FolderCalls.TryOpen((int)parent.DangerousGetHandle(), Name, ReadFolder, out errno);
        if (folder is null)
            return errno == FolderCalls.ENOENT
                ? null
                : throw new IOException($"open {path}: {Unexpected(errno)}, expected a folder: remove it");
        try
        {
            var status = FolderCalls.StatusOf(folder);
            if (status.Owner != FolderCalls.EffectiveUser() || (status.Rights & OthersMayWrite) != 0)
            {
                throw new IOException(
                    $"{path} belongs to user {status.Owner} and has mode {Convert.ToString(status.Rights, 8)}, expected user "
                        + $"{FolderCalls.EffectiveUser()} and 700: "
                        + "remove it, it is made anew"
                );
            }

            return new MissedDelFolder(folder, path, status.Inode);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>The file of a note: of a hash of its key, so that the DEL of the same attachment again replaces it.</summary>
    public static string FileName(string hash) => hash + Finished;

    /// <summary>Such a name is a note's.</summary>
    public static bool IsNote(string fileName) => fileName.Length == HashLength + Finished.Length && IsHashed(fileName, Finished);

    /// <summary>Such a name is that of a note which is being written, or was when its plugin was killed.</summary>
    public static bool IsUnfinished(string fileName) =>
        fileName.Length == HashLength + UniqueLength + Unfinished.Length && IsHashed(fileName, Unfinished);

    /// <summary>
    /// Puts a note there, whole or not at all. Not flushed to disk: a crash of the machine ends the boot, and with it what a note is good
    /// for.
    /// </summary>
    /// <param name="hash">Of the attachment; see <see cref="FileName"/>.</param>
    /// <param name="content">At most <see cref="MaxBytes"/>.</param>
    /// <param name="unique">A number that no other plugin at work draws.</param>
    /// <exception cref="IOException">Not written; the folder is full, or the note too large, included.</exception>
    public void Write(string hash, ReadOnlySpan<byte> content, uint unique)
    {
        if (content.Length > MaxBytes)
            throw new IOException($"the note has {content.Length} bytes, at most {MaxBytes} are written");
        var name = FileName(hash);
        if (Names(MaxFiles) is { Count: >= MaxFiles } names && !names.Contains(name, StringComparer.Ordinal))
            throw new IOException($"{Path} has {MaxFiles} files, and no more are written: does the daemon run?");
        var unfinished = $"{hash}.{unique:x8}{Unfinished}";
        var flags = FolderCalls.O_WRONLY | FolderCalls.O_CREAT | FolderCalls.O_EXCL;
        using (
            var file =
                FolderCalls.TryOpen(Descriptor, unfinished, flags, out var errno, OwnerOnlyFile)
                ?? throw new IOException($"open {Path}/{unfinished}: {FolderCalls.Describe(errno)}")
        )
        {
            try
            {
                FolderCalls.Write(file, content);
            }
            catch (IOException)
            {
                _ = FolderCalls.Unlink(_folder, unfinished, 0);
                throw;
            }
        }

        if (FolderCalls.Rename(_folder, unfinished, name) is not 0 and var failure)
        {
            _ = FolderCalls.Unlink(_folder, unfinished, 0);
            throw new IOException($"rename {Path}/{unfinished} to {name}: {FolderCalls.Describe(failure)}");
        }
    }

    /// <summary>Names of what is in the folder, in no order.</summary>
    /// <param name="most">No more than this.</param>
    /// <exception cref="IOException">It cannot be listed.</exception>
    public List<string> Names(int most)
    {
        // A descriptor of its own: that of the folder remembers how far it was read.
        using var reader =
            FolderCalls.TryOpen(Descriptor, ".", ReadFolder, out var errno)
            ?? throw new IOException($"open {Path}: {FolderCalls.Describe(errno)}");
        List<string> names = [];
        var buffer = new byte[32 * 1024];
        while (names.Count < most && FolderCalls.ReadEntries(reader, buffer) is > 0 and var length)
        {
            // struct linux_dirent64: the length of the entry at 16, its name, with an end, from 19.
            for (var at = 0; at < length && names.Count < most; at += BitConverter.ToUInt16(buffer, at + 16))
            {
                var name = buffer.AsSpan(at + 19);
                name = name[..name.IndexOf((byte)0)];
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                    names.Add(Encoding.UTF8.GetString(name));
            }
        }

        return names;
    }

    /// <summary>The content of a note; null when it is not there any more.</summary>
    /// <exception cref="FormatException">It is no regular file, somebody else's, or too large: nothing of it was read.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public byte[]? Read(string name)
    {
        using var file = FolderCalls.TryOpen(Descriptor, name, FolderCalls.O_RDONLY | FolderCalls.O_NONBLOCK, out var errno);
        if (file is null)
        {
            return errno switch
            {
                FolderCalls.ENOENT => null,
                FolderCalls.ELOOP or FolderCalls.ENXIO => throw new FormatException(FolderCalls.Describe(errno)),
                // It says nothing of the file: too many are open, for one.
                _ => throw new IOException($"open {Path}/{name}: {FolderCalls.Describe(errno)}"),
            };
        }

        var status = FolderCalls.StatusOf(file);
        if (status.Type != FolderCalls.S_IFREG)
            throw new FormatException("it is no regular file");
        if (status.Owner != FolderCalls.EffectiveUser())
            throw new FormatException($"it belongs to user {status.Owner}");
        if (status.Length > MaxBytes)
            throw new FormatException($"it has {status.Length} bytes, expected at most {MaxBytes}");
        var content = new byte[MaxBytes];
        return content[..FolderCalls.Read(file, content)];
    }

    /// <summary>Removes a file, a link (not what it leads to), or an empty folder. Nothing happens if it is not there.</summary>
    /// <exception cref="IOException">It is still there.</exception>
    public void Remove(string name)
    {
        var errno = FolderCalls.Unlink(_folder, name, 0);
        if (errno == FolderCalls.EISDIR)
            errno = FolderCalls.Unlink(_folder, name, FolderCalls.AT_REMOVEDIR);
        if (errno is not (0 or FolderCalls.ENOENT))
            throw new IOException($"remove {Path}/{name}: {FolderCalls.Describe(errno)}");
    }

    public void Dispose() => _folder.Dispose();

    private static bool IsHashed(string fileName, string ending)
    {
        foreach (var digit in fileName.AsSpan(0, HashLength))
        {
            if (!char.IsAsciiHexDigitLower(digit))
                return false;
        }

        return fileName.EndsWith(ending, StringComparison.Ordinal);
    }

    private static string Unexpected(int errno) =>
        errno switch
        {
            // With O_DIRECTORY a symbolic link is ENOTDIR, too (open(2)).
            FolderCalls.ENOTDIR => "it is no folder, or a symbolic link",
            _ => FolderCalls.Describe(errno),
        };
}
