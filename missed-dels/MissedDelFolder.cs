// SPDX-License-Identifier: Apache-2.0
using System.Text;
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.MissedDels;

/// <summary>
/// The folder <c>missed-dels</c> beside the daemon's socket, with records of missed DELs. Only its owner may access it; its size is
/// bounded; all access is relative to one descriptor. Each daemon of a machine has its own. Failures are <see cref="IOException"/> whose
/// message names the path.
/// </summary>
public sealed class MissedDelFolder : IDisposable
{
    public const string Name = "missed-dels";

    /// <summary>Maximum number of files in the folder; a node runs some hundred pods with one or two interfaces each.</summary>
    public const int MaxFiles = 4096;

    /// <summary>Maximum size of a record in bytes; typical records have about 300.</summary>
    public const int MaxBytes = 4096;

    /// <summary>Ending of a record before it is renamed; a crash may leave such a file.</summary>
    private const string Unfinished = ".tmp";

    private const string Finished = ".json";

    /// <summary>Length of a SHA-1 hash in hexadecimal digits.</summary>
    private const int HashLength = 40;

    /// <summary>Length of the unique part: a dot and eight hexadecimal digits.</summary>
    private const int UniqueLength = 9;

    private const int OwnerOnlyFolder = 0x1C0; // 0700
    private const int OwnerOnlyFile = 0x180; // 0600
    private const int OthersMayWrite = 0x12; // 0022

    private readonly SafeFileHandle _folder;

    private MissedDelFolder(SafeFileHandle folder, string path, ulong inode) => (_folder, Path, Inode) = (folder, path, inode);

    public string Path { get; }

    private int Descriptor => (int)_folder.DangerousGetHandle();

    private static int ReadFolder => FileCalls.O_RDONLY | FileCalls.O_DIRECTORY;

    /// <summary>Inode of the folder, which distinguishes it from one that replaced it.</summary>
    public ulong Inode { get; }

    /// <summary>Returns the path of the folder for a daemon's socket.</summary>
    public static string PathBeside(string socketPath) =>
        System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(socketPath)) ?? "/", Name);

    /// <summary>Opens the folder, and creates it if it does not exist.</summary>
    /// <exception cref="IOException">The path is not a folder, others may write to it, or the socket's folder does not exist.</exception>
    public static MissedDelFolder Open(string socketPath)
    {
        var path = PathBeside(socketPath);
        var parentPath = System.IO.Path.GetDirectoryName(path)!;
        using var parent =
            FileCalls.TryOpen(FileCalls.AT_FDCWD, parentPath, ReadFolder, out var errno, follows: true)
            ?? throw new IOException($"open {parentPath}: {FileCalls.Describe(errno)}");
        errno = FolderCalls.MakeFolder(parent, Name, OwnerOnlyFolder);
        if (errno is not (0 or FileCalls.EEXIST))
            throw new IOException($"mkdir {path}: {FileCalls.Describe(errno)}");
        return OpenIn(parent, path, out errno) ?? throw new IOException($"open {path}: {FileCalls.Describe(errno)}");
    }

    /// <summary>Deletes the folder with all records, for a node without a daemon.</summary>
    /// <returns>The number of foreign files, because of which the folder stays; 0: it is deleted.</returns>
    /// <exception cref="IOException">The folder cannot be deleted, or is not a valid one.</exception>
    public static int Delete(string socketPath)
    {
        var path = PathBeside(socketPath);
        using var parent = FileCalls.TryOpen(
            FileCalls.AT_FDCWD,
            System.IO.Path.GetDirectoryName(path)!,
            ReadFolder,
            out var errno,
            follows: true
        );
        if (parent is null)
            return errno == FileCalls.ENOENT
                ? 0
                : throw new IOException($"open {System.IO.Path.GetDirectoryName(path)}: {FileCalls.Describe(errno)}");
        using (var folder = OpenIn(parent, path, out _))
        {
            if (folder is null)
                return 0;
            foreach (var name in folder.Names(2 * MaxFiles).Where(name => IsRecord(name) || IsUnfinished(name)))
                folder.Remove(name);
            if (folder.Names(2 * MaxFiles) is { Count: > 0 } others)
                return others.Count;
        }

        errno = FolderCalls.Unlink(parent, Name, FolderCalls.AT_REMOVEDIR);
        return errno is 0 or FileCalls.ENOENT ? 0 : throw new IOException($"rmdir {path}: {FileCalls.Describe(errno)}");
    }

    /// <summary>Returns null if the folder does not exist.</summary>
    private static MissedDelFolder? OpenIn(SafeFileHandle parent, string path, out int errno)
    {
        var folder = FileCalls.TryOpen((int)parent.DangerousGetHandle(), Name, ReadFolder, out errno);
        if (folder is null)
            return errno == FileCalls.ENOENT
                ? null
                : throw new IOException($"open {path}: {Unexpected(errno)}, expected a folder: remove it");
        try
        {
            var status = FileCalls.StatusOf(folder);
            if (status.Owner != FolderCalls.EffectiveUser() || (status.Rights & OthersMayWrite) != 0)
            {
                throw new IOException(
                    $"{path} belongs to user {status.Owner} and has mode {Convert.ToString(status.Rights, 8)}, expected user "
                        + $"{FolderCalls.EffectiveUser()} and 700: "
                        + "remove it, so that it is recreated"
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

    /// <summary>
    /// Returns the file name of a record. It is the hash of the attachment's key, so that a repeated DEL replaces the record.
    /// </summary>
    public static string FileName(string hash) => hash + Finished;

    /// <summary>Whether a file has the name of a record.</summary>
    public static bool IsRecord(string fileName) => fileName.Length == HashLength + Finished.Length && IsHashed(fileName, Finished);

    /// <summary>Whether a file has the name of a record that is being written, or whose plugin was killed.</summary>
    public static bool IsUnfinished(string fileName) =>
        fileName.Length == HashLength + UniqueLength + Unfinished.Length && IsHashed(fileName, Unfinished);

    /// <summary>
    /// Writes a record atomically. Does not flush it to disk: a crash of the machine ends the boot, and with it the record's validity.
    /// </summary>
    /// <param name="hash">Hash of the attachment; see <see cref="FileName"/>.</param>
    /// <param name="content">The record, at most <see cref="MaxBytes"/> long.</param>
    /// <param name="unique">A number that no other running plugin uses.</param>
    /// <exception cref="IOException">
    /// The record was not written, for example because the folder is full or the record too large.
    /// </exception>
    public void Write(string hash, ReadOnlySpan<byte> content, uint unique)
    {
        if (content.Length > MaxBytes)
            throw new IOException($"the record has {content.Length} bytes, expected at most {MaxBytes}");
        var name = FileName(hash);
        if (Names(MaxFiles) is { Count: >= MaxFiles } names && !names.Contains(name, StringComparer.Ordinal))
            throw new IOException($"{Path} has {MaxFiles} files, the maximum: check whether the daemon is running");
        var unfinished = $"{hash}.{unique:x8}{Unfinished}";
        var flags = FileCalls.O_WRONLY | FileCalls.O_CREAT | FileCalls.O_EXCL;
        using (
            var file =
                FileCalls.TryOpen(Descriptor, unfinished, flags, out var errno, OwnerOnlyFile)
                ?? throw new IOException($"open {Path}/{unfinished}: {FileCalls.Describe(errno)}")
        )
        {
            try
            {
                FolderCalls.WriteAll(file, content);
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
            throw new IOException($"rename {Path}/{unfinished} to {name}: {FileCalls.Describe(failure)}");
        }
    }

    /// <summary>Returns the names of the files in the folder, unordered.</summary>
    /// <param name="max">Maximum number of names.</param>
    /// <exception cref="IOException">It cannot be listed.</exception>
    public List<string> Names(int max)
    {
        // Uses its own descriptor, because the folder's keeps its read position.
        using var reader =
            FileCalls.TryOpen(Descriptor, ".", ReadFolder, out var errno)
            ?? throw new IOException($"open {Path}: {FileCalls.Describe(errno)}");
        List<string> names = [];
        var buffer = new byte[32 * 1024];
        while (names.Count < max && FolderCalls.ReadEntries(reader, buffer) is > 0 and var length)
        {
            // struct linux_dirent64: entry length at offset 16, NUL-terminated name from offset 19.
            for (var at = 0; at < length && names.Count < max; at += BitConverter.ToUInt16(buffer, at + 16))
            {
                var name = buffer.AsSpan(at + 19);
                name = name[..name.IndexOf((byte)0)];
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                    names.Add(Encoding.UTF8.GetString(name));
            }
        }

        return names;
    }

    /// <summary>Returns the content of a record; null if it does not exist.</summary>
    /// <exception cref="FormatException">
    /// The file is not a regular file, belongs to another user, or is too large; it was not read.
    /// </exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public byte[]? Read(string name)
    {
        using var file = FileCalls.TryOpen(Descriptor, name, FileCalls.O_RDONLY | FileCalls.O_NONBLOCK, out var errno);
        if (file is null)
        {
            return errno switch
            {
                FileCalls.ENOENT => null,
                FileCalls.ELOOP or FileCalls.ENXIO => throw new FormatException(FileCalls.Describe(errno)),
                // The error may not be the file's fault, for example if too many files are open.
                _ => throw new IOException($"open {Path}/{name}: {FileCalls.Describe(errno)}"),
            };
        }

        var status = FileCalls.StatusOf(file);
        if (status.Type != FileCalls.S_IFREG)
            throw new FormatException("it is not a regular file");
        if (status.Owner != FolderCalls.EffectiveUser())
            throw new FormatException($"it belongs to user {status.Owner}");
        if (status.Length > MaxBytes)
            throw new FormatException($"it has {status.Length} bytes, expected at most {MaxBytes}");
        var content = new byte[MaxBytes];
        return content[..FolderCalls.ReadAll(file, content)];
    }

    /// <summary>Removes a file, a link (not its target), or an empty folder. No effect if it does not exist.</summary>
    /// <exception cref="IOException">The file was not removed.</exception>
    public void Remove(string name)
    {
        var errno = FolderCalls.Unlink(_folder, name, 0);
        if (errno == FileCalls.EISDIR)
            errno = FolderCalls.Unlink(_folder, name, FolderCalls.AT_REMOVEDIR);
        if (errno is not (0 or FileCalls.ENOENT))
            throw new IOException($"remove {Path}/{name}: {FileCalls.Describe(errno)}");
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
            FileCalls.ENOTDIR => "it is not a folder, or is a symbolic link",
            _ => FileCalls.Describe(errno),
        };
}
