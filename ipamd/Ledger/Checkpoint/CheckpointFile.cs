// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Files;

namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>Storage of the checkpoint: a file in production; memory with torn and failing writes in tests.</summary>
internal interface ICheckpointFile
{
    /// <summary>Name for logs.</summary>
    string Name { get; }

    /// <summary>Reads the bytes last written; null when there are none.</summary>
    /// <exception cref="CheckpointFormatException">The content cannot be a checkpoint: too large, or not a regular file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    byte[]? Read();

    /// <summary>Replaces the content durably. When it throws, the old content is intact.</summary>
    /// <exception cref="IOException">The content was not written.</exception>
    void Write(ReadOnlySpan<byte> content);

    /// <summary>Renames unusable content for later inspection and returns its new name.</summary>
    string SetAside(DateTimeOffset now);
}

/// <summary>
/// A file replaced atomically: writes and syncs a temporary file, renames it, and syncs the folder, since rename(2) alone is not durable.
/// </summary>
internal sealed class CheckpointFile(string path) : ICheckpointFile
{
    /// <summary>About ten times the size that the largest instance type needs.</summary>
    public const int MaxBytes = 16 * 1024 * 1024;

    /// <summary>Most files set aside; older ones are deleted, so that a checkpoint that breaks repeatedly does not fill the disk.</summary>
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
                throw new CheckpointFormatException($"the file has {length} bytes, expected at most {MaxBytes}");
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

    /// <summary>
    /// Deletes the oldest files set aside, whose names sort by age. Ignores what cannot be deleted, such as a non-empty folder.
    /// </summary>
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
                // Not this daemon's file; one more entry in the folder is harmless.
            }
        }
    }
}
