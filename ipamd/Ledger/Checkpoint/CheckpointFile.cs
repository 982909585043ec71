// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.Ledger.Checkpoint;

/// <summary>Where the checkpoint's bytes live. Production: a file. Tests: memory, with torn and failing writes.</summary>
internal interface ICheckpointFile
{
    /// <summary>Name for logs.</summary>
    string Name { get; }

    /// <summary>The bytes last written; null when there never were any.</summary>
    byte[]? Read();

    /// <summary>Replaces the content: when this returns, it survives a crash; when it throws, the old content is still there.</summary>
    /// <exception cref="IOException">Not written.</exception>
    void Write(ReadOnlySpan<byte> content);

    /// <summary>Keeps unusable content aside for a person to look at. Returns the name that it has now.</summary>
    string SetAside(DateTimeOffset now);
}

/// <summary>A file that is replaced by rename: written beside it, synced, renamed, and the folder synced, as rename(2) alone is not durable.</summary>
internal sealed class CheckpointFile(string path) : ICheckpointFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public string Name => path;

    public byte[]? Read()
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    public void Write(ReadOnlySpan<byte> content) => DurableFile.Replace(path, path + ".tmp", content, OwnerOnly);

    public string SetAside(DateTimeOffset now)
    {
        var aside = $"{path}.corrupt-{now.UtcDateTime:yyyyMMddTHHmmssfff}Z";
        File.Move(path, aside, overwrite: false);
        return aside;
    }
}
