// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace VpcCni.Bench;

/// <summary>Result of a plugin: standard output, exit code, and the time from just before the fork to the end of the process.</summary>
internal readonly record struct ChildOutcome(string Output, int ExitCode, TimeSpan Elapsed);

/// <summary>
/// Runs a program with little overhead in the measured time: posix_spawn (which does not copy this process), one read to the end, one wait.
/// The framework's Process adds threads, event handlers and a signal before it reports the exit, which takes longer than some of the
/// differences measured here. The child inherits the network namespace of the calling thread.
/// </summary>
internal static unsafe partial class ChildProcess
{
    private const int O_CLOEXEC = 0x80000;
    private const int EINTR = 4;

    /// <summary>Larger than posix_spawn_file_actions_t of any C library.</summary>
    private const int FileActionsBytes = 512;

    /// <param name="arguments">Arguments without the program's name.</param>
    /// <param name="input">Content of standard input; at most 64 KiB, the capacity of a pipe.</param>
    public static ChildOutcome Run(string program, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, string input)
    {
        var bytes = Encoding.UTF8.GetBytes(input);
        if (bytes.Length > 60 * 1024)
            throw new ArgumentException($"{bytes.Length} bytes of input do not fit a pipe", nameof(input));
        var (inputRead, inputWrite) = Pipe();
        var (outputRead, outputWrite) = Pipe();
        fixed (byte* start = bytes)
            Check(Write(inputWrite, start, bytes.Length) == bytes.Length, "write");
        _ = Close(inputWrite);

        using var argv = new StringVector([program, .. arguments]);
        using var envp = new StringVector(environment);
        byte* actions = stackalloc byte[FileActionsBytes];
        Check(FileActionsInit(actions) == 0, "posix_spawn_file_actions_init");
        Check(
            FileActionsAddDup2(actions, inputRead, 0) == 0 && FileActionsAddDup2(actions, outputWrite, 1) == 0,
            "posix_spawn_file_actions_adddup2"
        );

        var started = Stopwatch.GetTimestamp();
        var failure = Spawn(out var processId, program, actions, 0, argv.Pointer, envp.Pointer);
        _ = Close(inputRead);
        _ = Close(outputWrite);
        var output = failure == 0 ? ReadToEnd(outputRead) : "";
        var status = failure == 0 ? Wait(processId) : 0;
        var elapsed = Stopwatch.GetElapsedTime(started);
        _ = Close(outputRead);
        _ = FileActionsDestroy(actions);
        if (failure != 0)
            throw new InvalidOperationException($"cannot run {program}: errno {failure}");
        return new ChildOutcome(output, (status & 0x7f) == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f), elapsed);
    }

    private static string ReadToEnd(int fd)
    {
        var buffer = new byte[16 * 1024];
        var text = new StringBuilder();
        fixed (byte* start = buffer)
        {
            while (true)
            {
                var read = Read(fd, start, buffer.Length);
                if (read > 0)
                    text.Append(Encoding.UTF8.GetString(buffer, 0, (int)read));
                else if (read == 0 || Marshal.GetLastPInvokeError() != EINTR)
                    return text.ToString();
            }
        }
    }

    private static int Wait(int processId)
    {
        while (true)
        {
            if (WaitPid(processId, out var status, 0) == processId)
                return status;
            Check(Marshal.GetLastPInvokeError() == EINTR, "waitpid");
        }
    }

    private static (int Read, int Write) Pipe()
    {
        var ends = stackalloc int[2];
        Check(Pipe2(ends, O_CLOEXEC) == 0, "pipe2");
        return (ends[0], ends[1]);
    }

    private static void Check(bool done, string call)
    {
        if (!done)
            throw new InvalidOperationException($"{call}: errno {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>A NULL-terminated array of C strings.</summary>
    private sealed class StringVector : IDisposable
    {
        private readonly nint[] _strings;

        public StringVector(IReadOnlyList<string> strings)
        {
            _strings = [.. strings.Select(Marshal.StringToCoTaskMemUTF8), 0];
            Pointer = (nint*)NativeMemory.Alloc((nuint)_strings.Length, (nuint)sizeof(nint));
            _strings.CopyTo(new Span<nint>(Pointer, _strings.Length));
        }

        public nint* Pointer { get; }

        public void Dispose()
        {
            foreach (var text in _strings)
                Marshal.FreeCoTaskMem(text);
            NativeMemory.Free(Pointer);
        }
    }

    // int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *file_actions, const posix_spawnattr_t *attrp, char
    // *const argv[], char *const envp[]);
    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Spawn(out int processId, string path, byte* actions, nint attributes, nint* argv, nint* envp);

    // int posix_spawn_file_actions_init(posix_spawn_file_actions_t *file_actions);
    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    private static partial int FileActionsInit(byte* actions);

    // int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *file_actions, int fildes, int newfildes);
    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    private static partial int FileActionsAddDup2(byte* actions, int from, int to);

    // int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *file_actions);
    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    private static partial int FileActionsDestroy(byte* actions);

    // pid_t waitpid(pid_t pid, int *wstatus, int options);
    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    private static partial int WaitPid(int processId, out int status, int options);

    // int pipe2(int pipefd[2], int flags);
    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static partial int Pipe2(int* ends, int flags);

    // ssize_t read(int fd, void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int fd, byte* buffer, nint count);

    // ssize_t write(int fd, const void *buf, size_t count);
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int fd, byte* bytes, nint count);

    // int close(int fd);
    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int fd);
}
