// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Text;
using VpcCni.Ipamd.Files;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Options;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// What a daemon left in its files: the checkpoint and the end of the log. Read within bounds, whatever is there, and never changed.
/// </summary>
internal sealed record OfflineStatus
{
    /// <summary>Lines of the log, and how much of the file is read for them.</summary>
    public const int LogLines = 20;
    private const int LogBytes = 64 * 1024;

    /// <summary>Of the node's root, as a container mounts it: on the node itself the same files are without it.</summary>
    private const string HostFolder = "/host";

    public required DateTimeOffset Now { get; init; }

    public required string SocketPath { get; init; }

    /// <summary>Somebody listens on the socket: the daemon can be asked.</summary>
    public required bool IsServed { get; init; }

    public required string CheckpointPath { get; init; }

    /// <summary>Null where <see cref="CheckpointProblem"/> says why.</summary>
    public LedgerRecord? Record { get; init; }

    public string? CheckpointProblem { get; init; }

    public required string LogPath { get; init; }

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<string> Log { get; init; } = [];

    public string? LogProblem { get; init; }

    /// <param name="options">Where the files are.</param>
    /// <param name="time">For ages.</param>
    public static OfflineStatus Read(IpamdOptions options, TimeProvider time)
    {
        var (record, checkpointProblem) = ReadCheckpoint(options.CheckpointPath);
        var path =
            options.LogFile.StartsWith(HostFolder + "/", StringComparison.Ordinal) && !File.Exists(options.LogFile)
                ? options.LogFile[HostFolder.Length..]
                : options.LogFile;
        var (log, logProblem) = ReadLog(path);
        return new OfflineStatus
        {
            Now = time.GetUtcNow(),
            SocketPath = options.SocketPath,
            IsServed = HasListener(options.SocketPath),
            CheckpointPath = options.CheckpointPath,
            Record = record,
            CheckpointProblem = checkpointProblem,
            LogPath = path,
            Log = log,
            LogProblem = logProblem,
        };
    }

    private static (LedgerRecord? Record, string? Problem) ReadCheckpoint(string path)
    {
        try
        {
            return new CheckpointFile(path).Read() is { } content
                ? (CheckpointFormat.Read(content), null)
                : (
                    null,
                    "there is none: no daemon has run here since the node was booted, or it is elsewhere "
                        + "(AWS_VPC_K8S_CNI_BACKING_STORE)"
                );
        }
        catch (Exception exception) when (exception is IOException or CheckpointFormatException)
        {
            return (null, $"it cannot be used: {Truncate.Of(exception.Message)}");
        }
    }

    private static (IReadOnlyList<string> Lines, string? Problem) ReadLog(string path)
    {
        if (path is "stdout" or "stderr" or "/dev/stdout" or "/dev/stderr")
            return ([], $"it goes to {path}: kubectl logs, or the journal, has it");
        try
        {
            using var handle = PosixFile.Open(path, OpenMode.Read);
            if (handle is null)
                return ([], "there is none, or it is elsewhere (AWS_VPC_K8S_CNI_LOG_FILE)");
            var length = RandomAccess.GetLength(handle);
            var buffer = new byte[Math.Min(length, LogBytes)];
            var read = RandomAccess.Read(handle, buffer, length - buffer.Length);
            var lines = Encoding.UTF8.GetString(buffer, 0, read).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            // The first one is a part only, where it was not the file's.
            return (
                [
                    .. lines
                        .Skip(length > buffer.Length ? 1 : 0)
                        .TakeLast(LogLines)
                        .Select(line => Truncate.Of(line, Truncate.LongestMessage)),
                ],
                null
            );
        }
        catch (IOException exception)
        {
            return ([], $"it cannot be read: {Truncate.Of(exception.Message)}");
        }
    }

    private static bool HasListener(string path)
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode == SocketError.WouldBlock; // a listener whose backlog is full
        }
        catch (ArgumentException)
        {
            return false; // too long for a socket
        }
    }
}
