// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger.Checkpoint;

namespace VpcCni.Simulation;

/// <summary>The disk of the model's node: one file. Outlives daemons.</summary>
internal sealed class ModelDisk
{
    public byte[]? Content { get; set; }

    /// <summary>Unusable content that daemons set aside.</summary>
    public List<byte[]> Aside { get; } = [];
}

/// <summary>A daemon's access to the checkpoint. Writes are atomic, as the replacement of a file by rename is.</summary>
internal sealed class ModelCheckpointFile(ModelDisk disk, DaemonRun run) : ICheckpointFile
{
    public string Name => "model";

    /// <summary>
    /// Called before a write, which keeps the old content when this throws <see cref="IOException"/> or kills the daemon.
    /// </summary>
    public Action<byte[]>? BeforeWrite { get; init; }

    /// <summary>Called after a write; may kill the daemon.</summary>
    public Action<byte[]>? AfterWrite { get; init; }

    public byte[]? Read()
    {
        run.CheckAlive();
        return disk.Content;
    }

    public void Write(ReadOnlySpan<byte> content)
    {
        run.CheckAlive();
        var bytes = content.ToArray();
        BeforeWrite?.Invoke(bytes);
        run.CheckAlive();
        disk.Content = bytes;
        AfterWrite?.Invoke(bytes);
        run.CheckAlive();
    }

    public string SetAside(DateTimeOffset now)
    {
        run.CheckAlive();
        disk.Aside.Add(disk.Content ?? throw new IOException("there is no file to set aside"));
        disk.Content = null;
        return $"aside-{disk.Aside.Count}";
    }
}
