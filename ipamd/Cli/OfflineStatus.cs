// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Text;
using VpcCni.Ipamd.Files;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Options;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Cli;

/// <summary>Reads the checkpoint and the end of the log of a daemon that may not run. Reads are bounded, and change nothing.</summary>
internal sealed record OfflineStatus
{
    /// <summary>Maximum number of log lines.</summary>
    public const int LogLines = 20;
    private const int LogBytes = 64 * 1024;

    /// <summary>Mount point of the node's root in a container; on the node itself, paths do not have it.</summary>
    private const string HostFolder = "/host";

    public required DateTimeOffset Now { get; init; }

    public required string SocketPath { get; init; }

    /// <summary>Whether a process listens on the socket, so that the daemon can be called.</summary>
    public required bool IsServed { get; init; }

    public required string CheckpointPath { get; init; }

    /// <summary>The checkpoint; null if <see cref="CheckpointProblem"/> is set.</summary>
    public LedgerRecord? Record { get; init; }

    public string? CheckpointProblem { get; init; }

    public required string LogPath { get; init; }

    /// <summary>The last lines, oldest first.</summary>
    public IReadOnlyList<string> Log { get; init; } = [];

    public string? LogProblem { get; init; }

    /// <param name="options">Paths of the files.</param>
    /// <param name="time">Clock for ages.</param>
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
                    "it does not exist: no daemon has run since the node booted, or it has another path "
                        + "(AWS_VPC_K8S_CNI_BACKING_STORE)"
                );
        }
        catch (Exception exception) when (exception is IOException or CheckpointFormatException)
        {
            return (null, $"it is unusable: {Truncate.Of(exception.Message)}");
        }
    }

    private static (IReadOnlyList<string> Lines, string? Problem) ReadLog(string path)
    {
        if (path is "stdout" or "stderr" or "/dev/stdout" or "/dev/stderr")
            return ([], $"the daemon logs to {path}: see kubectl logs, or the journal");
        try
        {
            using var handle = PosixFile.Open(path, OpenMode.Read);
            if (handle is null)
                return ([], "it does not exist, or has another path (AWS_VPC_K8S_CNI_LOG_FILE)");
            var length = RandomAccess.GetLength(handle);
            var buffer = new byte[Math.Min(length, LogBytes)];
            var read = RandomAccess.Read(handle, buffer, length - buffer.Length);
            var lines = Encoding.UTF8.GetString(buffer, 0, read).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            // The first line may be partial if the file is longer than the buffer.
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
