// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net.Sockets;
using VpcCni.Lab.Fabric;
using VpcCni.Netlink;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// The daemon of one node: <c>ipamd run</c> in the node's namespace, with no more rights than the chart gives it
/// (<see cref="DaemonSandbox"/>), configured by environment variables only, with files of its own. It may be killed and started again at
/// any time; its checkpoint stays.
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

    private const int ShownLogLines = 8;

    private Process? _process;
    private Task _pump = Task.CompletedTask;

    public string Program { get; } = Path.GetFullPath(binary);

    public IReadOnlyDictionary<string, string> Environment => environment;

    /// <summary>Whether it has answered since it was last started.</summary>
    public bool IsServing { get; private set; }

    public int? ProcessId => _process is { HasExited: false } running ? running.Id : null;

    /// <summary>Resident memory (VmRSS); null when it does not run.</summary>
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

    /// <param name="changes">Variables that differ from the lab's, as when an operator rolls out another configuration.</param>
    public void Start(IReadOnlyDictionary<string, string>? changes = null)
    {
        if (_process is { HasExited: false } running)
            throw new LabException($"ipamd runs already as process {running.Id}");
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
    /// Waits until the socket answers and <c>ipamd status</c> is content; fails at once, with the end of its log, when the daemon ends
    /// instead.
    /// </summary>
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
                    throw new LabException($"ipamd ended with exit code {process.ExitCode} before it served.\n{LastWords()}");
                if (await AnswersAsync(both.Token))
                {
                    IsServing = true;
                    return;
                }

                await Task.Delay(ProbePause, time, both.Token);
            }
        }
        catch (OperationCanceledException cancelled) when (!cancellationToken.IsCancellationRequested)
        {
            throw new LabException($"ipamd did not serve within {deadline.TotalSeconds} s.\n{LastWords()}", cancelled);
        }
    }

    /// <summary>Ends the daemon without warning, as the kernel's out-of-memory killer would.</summary>
    public async Task KillAsync(CancellationToken cancellationToken)
    {
        if (_process is not { HasExited: false } running)
            return;
        running.Kill();
        await running.WaitForExitAsync(cancellationToken);
        await _pump.WaitAsync(cancellationToken);
    }

    /// <summary>Asks the daemon to end (SIGTERM) and kills it past a deadline.</summary>
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

    /// <summary>Asks the running daemon with its own command line, e.g. <c>status --json</c>.</summary>
    public Task<ProcessOutcome> AskAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(binary, arguments);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return NamespaceProcess.RunAsync(node, start, input: "", ProbeDeadline, time, cancellationToken);
    }

    /// <summary>Exit code of <c>ipamd status</c>: pods are served, and something is wrong.</summary>
    private const int Degraded = 3;

    private async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ConnectsAsync(cancellationToken)
                && (await AskAsync(["status", "--json"], cancellationToken)).ExitCode is 0 or Degraded;
        }
        catch (FabricException)
        {
            return false; // no answer within the probe's deadline; the caller's decides
        }
    }

    private async Task<bool> ConnectsAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(paths.IpamdSocket), cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false; // not there yet
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

    private string LastWords() => string.Join('\n', ((string[])[paths.IpamdOutput, paths.IpamdLog]).Where(File.Exists).Select(Tail));

    private static string Tail(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        var lines = new Queue<string>();
        while (reader.ReadLine() is { } line)
        {
            if (lines.Count == ShownLogLines)
                lines.Dequeue();
            lines.Enqueue(line);
        }

        return $"{path}:\n{string.Join('\n', lines)}";
    }
}
