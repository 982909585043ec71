// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.Lab.Hosting;

/// <summary>libc calls that .NET has no API for.</summary>
internal static partial class Posix
{
    /// <summary>Signal numbers on x86-64 and arm64 (signal(7)).</summary>
    public const int SigTerm = 15;
    public const int SigKill = 9;

    private const string Libc = "libc";
    private const int NoSuchProcess = 3; // ESRCH

    /// <summary>Sends a signal. Returns false if the process does not exist.</summary>
    public static bool Kill(int processId, int signal)
    {
        if (processId <= 1)
            throw new ArgumentOutOfRangeException(nameof(processId), processId, "expected the id of a process that the lab started");
        if (kill(processId, signal) == 0)
            return true;
        var error = Marshal.GetLastPInvokeError();
        return error == NoSuchProcess
            ? false
            : throw new LabException($"cannot send signal {signal} to process {processId}: {Marshal.GetPInvokeErrorMessage(error)}");
    }

    /// <summary>
    /// Detaches from the terminal: starts a new session, reads standard input from /dev/null and redirects standard output and error to
    /// an existing file. Redirects every other descriptor of the caller's streams as well, because a reader of a pipe sees its end only
    /// after the last copy is closed.
    /// </summary>
    public static void Detach(string logFile)
    {
        Check(setsid(), "setsid");
        string?[] streams = [TargetOf("1"), TargetOf("2")];
        var copies = Directory
            .GetFiles("/proc/self/fd")
            .Select(path => Path.GetFileName(path))
            .Where(name => TargetOf(name) is { } target && streams.Contains(target))
            .Select(int.Parse);
        Redirect("/dev/null", [0]);
        Redirect(logFile, [1, 2, .. copies]);
    }

    private static string? TargetOf(string descriptor) => new FileInfo("/proc/self/fd/" + descriptor).LinkTarget;

    private static void Redirect(string path, IEnumerable<int> descriptors)
    {
        // O_APPEND: every descriptor writes at the end of the file.
        using var file =
            FileCalls.TryOpen(FileCalls.AT_FDCWD, path, FileCalls.O_RDWR | FileCalls.O_APPEND, out var errno, follows: true)
            ?? throw new LabException($"open {path} failed: {FileCalls.Describe(errno)}");
        foreach (var descriptor in descriptors)
            Check(dup2(file, descriptor), "dup2");
    }

    private static int Check(int result, string what) =>
        result >= 0 ? result : throw new LabException($"{what} failed: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int kill(int pid, int sig);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int setsid();

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int dup2(SafeFileHandle file, int descriptor);
}
