// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger.Checkpoint;

namespace VpcCni.Simulation;

/// <summary>The disk of the model's node: one file. Outlives daemons.</summary>
internal sealed class ModelDisk
{
    public byte[]? Content { get; set; }

    /// <summary>Unusable content that a daemon kept aside.</summary>
    public List<byte[]> Aside { get; } = [];
}

/// <summary>A daemon's hold on the checkpoint. A write is done wholly or not at all, as replacing a file by rename is.</summary>
internal sealed class ModelCheckpointFile(ModelDisk disk, DaemonRun incarnation) : ICheckpointFile
{
    public string Name => "model";

    /// <summary>Before a write: may refuse it (<see cref="IOException"/>) or kill the daemon, and the old content stays.</summary>
    public Action<byte[]>? BeforeWrite { get; init; }

    /// <summary>After a write: may kill the daemon, and the new content stays.</summary>
    public Action<byte[]>? AfterWrite { get; init; }

    public byte[]? Read()
    {
        incarnation.CheckAlive();
        return disk.Content;
    }

    public void Write(ReadOnlySpan<byte> content)
    {
        incarnation.CheckAlive();
        var bytes = content.ToArray();
        BeforeWrite?.Invoke(bytes);
        incarnation.CheckAlive();
        disk.Content = bytes;
        AfterWrite?.Invoke(bytes);
        incarnation.CheckAlive();
    }

    public string SetAside(DateTimeOffset now)
    {
        incarnation.CheckAlive();
        disk.Aside.Add(disk.Content ?? throw new IOException("there is no file to set aside"));
        disk.Content = null;
        return $"aside-{disk.Aside.Count}";
    }
}
