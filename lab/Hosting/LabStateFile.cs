// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using VpcCni.Lab.Fabric;

namespace VpcCni.Lab.Hosting;

/// <summary>What a lab leaves on disk about itself, so that a later command can tell a running lab from the remains of one.</summary>
internal sealed record LabState
{
    public required string Name { get; init; }

    public required int ProcessId { get; init; }

    /// <summary>
    /// Start time of the process in clock ticks since boot (field 22 of /proc/PID/stat): process ids are used again, this pair is not.
    /// </summary>
    public required long ProcessStart { get; init; }

    public required DateTimeOffset StartedAt { get; init; }
}

/// <summary>
/// A lab's claim to its name: a lock that the kernel releases when the process ends, however it ends, and a state file that tells others
/// who holds it.
/// </summary>
internal sealed class LabStateFile : IDisposable
{
    private readonly FileStream _lock;

    private LabStateFile(FileStream held) => _lock = held;

    /// <summary>Claims the name, or throws with what is in the way of a lab of this name and how to remove it.</summary>
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
            throw new LabException(Running(paths, names), error);
        }

        try
        {
            if (FabricNamespaces.Find(names) is { Count: > 0 } left)
                throw new LabException(Remains(names, left));
            var state = new LabState
            {
                Name = names.Lab,
                ProcessId = Environment.ProcessId,
                StartedAt = now,
                ProcessStart = StartOf(Environment.ProcessId) ?? throw new LabException("this process is not in /proc"),
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

    /// <summary>Throws what <see cref="Claim"/> would throw, without claiming anything.</summary>
    public static void RequireFree(LabPaths paths, FabricNames names)
    {
        if (Read(paths) is { } state && IsRunning(state))
            throw new LabException(Running(paths, names));
        if (FabricNamespaces.Find(names) is { Count: > 0 } left)
            throw new LabException(Remains(names, left));
    }

    /// <summary>
    /// Null when there is none, or none that can be read: then there is nobody to ask, and the namespaces tell what is left.
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

    public static bool IsRunning(LabState state) => StartOf(state.ProcessId) == state.ProcessStart;

    /// <summary>
    /// Gives the name up. The lock's file is gone by then: <see cref="LabCleanup.Remove"/> takes it while it is still held.
    /// </summary>
    public void Dispose() => _lock.Dispose();

    private static string Running(LabPaths paths, FabricNames names)
    {
        var left = FabricNamespaces.Find(names);
        var who = Read(paths) is { } state ? $"process {state.ProcessId} since {state.StartedAt:u}" : "it is just starting or ending";
        return $"lab '{names.Lab}' is running already: {who}, {left.Count} namespaces ({Some(left)}). "
            + $"Stop it with: vpc-lab down --name {names.Lab}; or start another one beside it with: vpc-lab up --name OTHER";
    }

    private static string Remains(FabricNames names, IReadOnlyList<string> left) =>
        $"lab '{names.Lab}' did not end well: its process is gone but {left.Count} namespaces are left ({Some(left)}). Remove them "
        + $"with: vpc-lab down --name {names.Lab}";

    private static string Some(IReadOnlyList<string> names) =>
        names.Count <= 6 ? string.Join(", ", names) : string.Join(", ", names.Take(6)) + ", ...";

    /// <summary>
    /// Field 22 of /proc/PID/stat (proc(5)); the name in field 2 may hold anything, so fields are counted after its closing parenthesis.
    /// Null for a process that has ended, also when its parent has not collected it yet.
    /// </summary>
    private static long? StartOf(int processId)
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
