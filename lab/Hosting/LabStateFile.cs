// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using VpcCni.Lab.Fabric;

namespace VpcCni.Lab.Hosting;

/// <summary>Content of a lab's state file. A later command uses it to distinguish a running lab from one that crashed.</summary>
internal sealed record LabState
{
    public required string Name { get; init; }

    public required int ProcessId { get; init; }

    /// <summary>
    /// Start time of the process in clock ticks since boot (field 22 of /proc/PID/stat). The kernel reuses process ids, but not this pair.
    /// </summary>
    public required long ProcessStart { get; init; }

    public required DateTimeOffset StartedAt { get; init; }
}

/// <summary>
/// A lab's claim to its name: a file lock, which the kernel releases however the process ends, and a state file that names the process
/// that holds it.
/// </summary>
internal sealed class LabStateFile : IDisposable
{
    private readonly FileStream _lock;

    private LabStateFile(FileStream held) => _lock = held;

    /// <summary>Claims the name.</summary>
    /// <exception cref="LabException">
    /// A lab of this name is running, or its namespaces are left over; the message says how to remove it.
    /// </exception>
    public static LabStateFile Claim(LabPaths paths, FabricNames names, DateTimeOffset now)
    {
        Directory.CreateDirectory(paths.RunFolder);
        FileStream held;
        try
        {
            held = new FileStream(paths.Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error)
        {
            throw new LabException(RunningMessage(paths, names), error);
        }

        try
        {
            if (FabricNamespaces.Find(names) is { Count: > 0 } left)
                throw new LabException(LeftoverMessage(names, left));
            var state = new LabState
            {
                Name = names.Lab,
                ProcessId = Environment.ProcessId,
                StartedAt = now,
                ProcessStart =
                    ReadStartTime(Environment.ProcessId) ?? throw new LabException("cannot read this process's start time from /proc"),
            };
            Directory.CreateDirectory(paths.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            File.WriteAllText(paths.State, JsonSerializer.Serialize(state, LabJson.Options));
            return new LabStateFile(held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>Checks that <see cref="Claim"/> would succeed, without claiming the name.</summary>
    /// <exception cref="LabException">As <see cref="Claim"/> throws.</exception>
    public static void RequireFree(LabPaths paths, FabricNames names)
    {
        if (Read(paths) is { } state && IsRunning(state))
            throw new LabException(RunningMessage(paths, names));
        if (FabricNamespaces.Find(names) is { Count: > 0 } left)
            throw new LabException(LeftoverMessage(names, left));
    }

    /// <summary>
    /// Reads the state file; null if it is missing or unreadable. A caller then relies on the namespaces to find what is left.
    /// </summary>
    public static LabState? Read(LabPaths paths)
    {
        try
        {
            return JsonSerializer.Deserialize<LabState>(File.ReadAllText(paths.State), LabJson.Options);
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            return null;
        }
    }

    public static bool IsRunning(LabState state) => ReadStartTime(state.ProcessId) == state.ProcessStart;

    /// <summary>
    /// Releases the name. The caller deletes the lock file first, with <see cref="LabCleanup.Remove"/>, while the lock is still held.
    /// </summary>
    public void Dispose() => _lock.Dispose();

    private static string RunningMessage(LabPaths paths, FabricNames names)
    {
        var left = FabricNamespaces.Find(names);
        var who = Read(paths) is { } state ? $"process {state.ProcessId} since {state.StartedAt:u}" : "it is starting or ending";
        return $"lab '{names.Lab}' is already running: {who}, {left.Count} namespaces ({Abbreviate(left)}). "
            + $"Stop it with: vpc-lab down --name {names.Lab}; or start another lab with: vpc-lab up --name OTHER";
    }

    private static string LeftoverMessage(FabricNames names, IReadOnlyList<string> left) =>
        $"lab '{names.Lab}' crashed: its process has ended, but {left.Count} namespaces are left ({Abbreviate(left)}). Remove them "
        + $"with: vpc-lab down --name {names.Lab}";

    private static string Abbreviate(IReadOnlyList<string> names) =>
        names.Count <= 6 ? string.Join(", ", names) : string.Join(", ", names.Take(6)) + ", ...";

    /// <summary>
    /// Reads field 22 of /proc/PID/stat (proc(5)). Counts the fields after the closing parenthesis of field 2, because the process name
    /// in it may contain any character. Null for a process that has ended, including a zombie.
    /// </summary>
    private static long? ReadStartTime(int processId)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{processId}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : long.Parse(fields[19]);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
