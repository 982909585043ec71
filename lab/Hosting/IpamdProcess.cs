// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Runs a node's daemon: <c>ipamd run</c> in the node's namespace, with the privileges that the chart gives it
/// (<see cref="DaemonSandbox"/>), configured by environment variables only. It can be killed and started again at any time; the checkpoint
/// stays.
/// </summary>
internal sealed class IpamdProcess(
    string binary,
    NetworkNamespace node,
    NodePaths paths,
    IReadOnlyDictionary<string, string> environment,
    TimeProvider time
) : IAsyncDisposable
{
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ProbePause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan ProbeDeadline = TimeSpan.FromSeconds(5);

    private const int LogTailLines = 8;

    private Process? _process;
    private Task _pump = Task.CompletedTask;

    public string Program { get; } = Path.GetFullPath(binary);

    public IReadOnlyDictionary<string, string> Environment => environment;

    /// <summary>Whether <see cref="WaitUntilServingAsync"/> has succeeded since the last start.</summary>
    public bool IsServing { get; private set; }

    public int? ProcessId => _process is { HasExited: false } running ? running.Id : null;

    /// <summary>Resident memory (VmRSS); null if the daemon is not running.</summary>
    public double? ResidentMebibytes
    {
        get
        {
            if (_process is not { HasExited: false } running)
                return null;
            running.Refresh();
            return Math.Round(running.WorkingSet64 / (1024.0 * 1024), 1);
        }
    }

    /// <summary><c>absent</c>, <c>starting</c>, <c>serving</c> or <c>exited N</c>.</summary>
    public string State =>
        _process switch
        {
            null => "absent",
            { HasExited: true } ended => $"exited {ended.ExitCode}",
            _ => IsServing ? "serving" : "starting",
        };

    /// <summary>Starts the daemon.</summary>
    /// <param name="changes">Variables that override the node's, as when an operator rolls out another configuration.</param>
    /// <exception cref="LabException">It is already running.</exception>
    public void Start(IReadOnlyDictionary<string, string>? changes = null)
    {
        if (_process is { HasExited: false } running)
            throw new LabException($"ipamd is already running as process {running.Id}");
        var start = new ProcessStartInfo(binary, ["run"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in environment.Concat(changes ?? new Dictionary<string, string>()))
            start.Environment[name] = value;
        IsServing = false;
        _process?.Dispose();
        _process = NamespaceProcess.Start(node, start, () => DaemonSandbox.EnterOnThisThread(paths));
        _process.StandardInput.Close();
        _pump = PumpAsync(_process);
    }

    /// <summary>
    /// Waits until the socket accepts connections and <c>ipamd status</c> reports that the daemon serves pods.
    /// </summary>
    /// <exception cref="LabException">
    /// The daemon exited (thrown at once) or did not serve within the deadline. The message includes the end of its log.
    /// </exception>
    public async Task WaitUntilServingAsync(TimeSpan deadline, CancellationToken cancellationToken)
    {
        var process = _process ?? throw new LabException("ipamd was not started");
        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            while (true)
            {
                if (process.HasExited)
                    throw new LabException($"ipamd exited with code {process.ExitCode} before it served.\n{LogTails()}");
                if (await ProbeAsync(both.Token))
                {
                    IsServing = true;
                    return;
                }

                await Task.Delay(ProbePause, time, both.Token);
            }
        }
        catch (OperationCanceledException cancelled) when (!cancellationToken.IsCancellationRequested)
        {
            throw new LabException($"ipamd did not serve within {deadline.TotalSeconds} s.\n{LogTails()}", cancelled);
        }
    }

    /// <summary>Kills the daemon with SIGKILL, as the kernel's out-of-memory killer does.</summary>
    public async Task KillAsync(CancellationToken cancellationToken)
    {
        if (_process is not { HasExited: false } running)
            return;
        running.Kill();
        await running.WaitForExitAsync(cancellationToken);
        await _pump.WaitAsync(cancellationToken);
    }

    /// <summary>Stops the daemon with SIGTERM, or with SIGKILL after a deadline.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_process is not { } process)
            return;
        if (!process.HasExited && Posix.Kill(process.Id, Posix.SigTerm))
        {
            using var limit = new CancellationTokenSource(StopDeadline, time);
            try
            {
                await process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                await process.WaitForExitAsync(CancellationToken.None);
            }
        }

        await _pump;
        process.Dispose();
        _process = null;
    }

    /// <summary>Runs a command of the daemon's program in the node's namespace, for example <c>status --json</c>.</summary>
    public Task<ProcessOutcome> RunCommandAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(binary, arguments);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return NamespaceProcess.RunAsync(node, start, input: "", ProbeDeadline, time, cancellationToken);
    }

    /// <summary>Exit code of <c>ipamd status</c> when the daemon serves pods but reports a problem.</summary>
    private const int Degraded = 3;

    private async Task<bool> ProbeAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await CanConnectAsync(cancellationToken)
                && (await RunCommandAsync(["status", "--json"], cancellationToken)).ExitCode is 0 or Degraded;
        }
        catch (FabricException)
        {
            return false; // the probe timed out; the caller retries until its own deadline
        }
    }

    private async Task<bool> CanConnectAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(paths.IpamdSocket), cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false; // the daemon does not listen yet
        }
    }

    private async Task PumpAsync(Process process)
    {
        await using var file = new FileStream(paths.IpamdOutput, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
        await using var writer = TextWriter.Synchronized(new StreamWriter(file) { AutoFlush = true });
        await Task.WhenAll(CopyAsync(process.StandardOutput, writer), CopyAsync(process.StandardError, writer));
    }

    private static async Task CopyAsync(StreamReader from, TextWriter to)
    {
        while (await from.ReadLineAsync() is { } line)
            await to.WriteLineAsync(line);
    }

    private string LogTails() => string.Join('\n', ((string[])[paths.IpamdOutput, paths.IpamdLog]).Where(File.Exists).Select(Tail));

    private static string Tail(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        var lines = new Queue<string>();
        while (reader.ReadLine() is { } line)
        {
            if (lines.Count == LogTailLines)
                lines.Dequeue();
            lines.Enqueue(line);
        }

        return $"{path}:\n{string.Join('\n', lines)}";
    }
}
