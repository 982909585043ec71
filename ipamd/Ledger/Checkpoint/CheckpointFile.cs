// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Files;

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>Where the checkpoint's bytes live. Production: a file. Tests: memory, with torn and failing writes.</summary>
internal interface ICheckpointFile
{
    /// <summary>Name for logs.</summary>
    string Name { get; }

    /// <summary>The bytes last written; null when there never were any.</summary>
    /// <exception cref="CheckpointFormatException">What is there cannot be a checkpoint: too large, or no file.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    byte[]? Read();

    /// <summary>Replaces the content: when this returns, it survives a crash; when it throws, the old content is still there.</summary>
    /// <exception cref="IOException">Not written.</exception>
    void Write(ReadOnlySpan<byte> content);

    /// <summary>Keeps unusable content aside for a person to look at. Returns the name that it has now.</summary>
    string SetAside(DateTimeOffset now);
}

/// <summary>
/// A file that is replaced by rename: written beside it, synced, renamed, and the folder synced, as rename(2) alone is not durable.
/// </summary>
internal sealed class CheckpointFile(string path) : ICheckpointFile
{
    /// <summary>About ten times what the largest instance type's attachments need.</summary>
    public const int MaxBytes = 16 * 1024 * 1024;

    /// <summary>Files set aside that are kept: the newest. A checkpoint that is broken again and again must not fill the disk.</summary>
    public const int MaxAside = 5;

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public string Name => path;

    public byte[]? Read()
    {
        try
        {
            using var handle = PosixFile.Open(path, OpenMode.Read);
            if (handle is null)
                return null;
            var length = RandomAccess.GetLength(handle);
            if (length > MaxBytes)
                throw new CheckpointFormatException($"it has {length} bytes, expected at most {MaxBytes}");
            var content = new byte[length];
            var read = 0;
            while (read < content.Length && RandomAccess.Read(handle, content.AsSpan(read), read) is > 0 and var count)
                read += count;
            return content[..read];
        }
        catch (NotRegularFileException exception)
        {
            throw new CheckpointFormatException(exception.Message, exception);
        }
    }

    public void Write(ReadOnlySpan<byte> content) => DurableFile.Replace(path, path + ".tmp", content, OwnerOnly);

    public string SetAside(DateTimeOffset now)
    {
        var aside = $"{path}.corrupt-{now.UtcDateTime:yyyyMMddTHHmmssfff}Z";
        if (Path.Exists(aside))
            throw new IOException($"{aside} exists already");
        PosixFile.Rename(path, aside);
        RemoveOldest();
        return aside;
    }

    /// <summary>Their names sort by age. What cannot be removed (a folder that holds something) stays.</summary>
    private void RemoveOldest()
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        string[] aside = [.. Directory.GetFileSystemEntries(folder, Path.GetFileName(path) + ".corrupt-*").Order(StringComparer.Ordinal)];
        foreach (var old in aside.SkipLast(MaxAside))
        {
            try
            {
                File.Delete(old);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // It is not ours: one more entry of a folder costs nothing.
            }
        }
    }
}
