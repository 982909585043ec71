// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Interop.Tests.Grpc;

/// <summary>
/// A @grpc/grpc-js client and server in a child process (node/peer.js), one for each test class. Its packages are installed beside the test
/// binary by the first test that needs them, from the lock file.
/// </summary>
public sealed class NodePeer : IAsyncDisposable
{
    private static readonly TimeSpan InstallDeadline = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan AnswerDeadline = TimeSpan.FromSeconds(30);
    private static readonly SemaphoreSlim Installing = new(1, 1);

    private readonly SemaphoreSlim _starting = new(1, 1);
    private readonly ConcurrentDictionary<int, TaskCompletionSource<JsonObject>> _waiting = new();
    private readonly ConcurrentQueue<JsonObject> _events = new();
    private readonly ConcurrentQueue<string> _complaints = new();
    private Process? _process;
    private int _lastId;

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "grpc-node");

    /// <summary>Skips the test (or fails it under REQUIRE_ALL) where node or its packages cannot be had.</summary>
    public async Task StartAsync()
    {
        var node = Requirement.NeedProgram("node");
        var npm = Requirement.NeedProgram("npm");
        await InstallAsync(npm);
        await _starting.WaitAsync();
        try
        {
            if (_process is not null)
                return;
            _process = Process.Start(
                new ProcessStartInfo(node, ["peer.js"])
                {
                    WorkingDirectory = Folder,
                    UseShellExecute = false,
                    RedirectStandardInput = true,
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                }
            )!;
            _process.OutputDataReceived += (_, line) => Receive(line.Data);
            _process.ErrorDataReceived += (_, line) => _complaints.Enqueue(line.Data ?? "");
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }
        finally
        {
            _starting.Release();
        }

        await EventAsync("ready", take: false);
    }

    public async Task<JsonObject> SendAsync(string command, JsonObject arguments)
    {
        await StartAsync();
        var id = Interlocked.Increment(ref _lastId);
        var answer = new TaskCompletionSource<JsonObject>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[id] = answer;
        arguments["id"] = id;
        arguments["command"] = command;
        lock (_waiting)
        {
            _process!.StandardInput.WriteLine(arguments.ToJsonString());
            _process.StandardInput.Flush();
        }

        var received = await Deadline(answer.Task, $"the answer to {command}");
        Assert.False(received.ContainsKey("failed"), $"node failed: {received["failed"]}");
        return received;
    }

    /// <summary>Waits for a line that the peer says by itself. Tests of one class run one after the other, so an event is theirs.</summary>
    public async Task<JsonObject> EventAsync(string name, bool take = true)
    {
        JsonObject? found = null;
        await Eventually.TrueAsync(
            () =>
            {
                found ??= _events.FirstOrDefault(item => (string?)item["event"] == name);
                return found is not null || _process is { HasExited: true };
            },
            what: $"event '{name}' of node"
        );
        Assert.True(found is not null, $"node exited: {string.Join('\n', _complaints)}");
        if (take)
        {
            var rest = _events.Where(item => !ReferenceEquals(item, found)).ToArray();
            _events.Clear();
            foreach (var item in rest)
                _events.Enqueue(item);
        }

        return found!;
    }

    public async ValueTask DisposeAsync()
    {
        _starting.Dispose();
        if (_process is null)
            return;
        _process.StandardInput.Close();
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
        }

        _process.Dispose();
    }

    private static async Task InstallAsync(string npm)
    {
        await Installing.WaitAsync();
        try
        {
            // npm writes this file last.
            if (File.Exists(Path.Combine(Folder, "node_modules", ".package-lock.json")))
                return;
            using var install = Process.Start(
                new ProcessStartInfo(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                {
                    WorkingDirectory = Folder,
                    UseShellExecute = false,
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                }
            )!;
            var output = Task.WhenAll(install.StandardOutput.ReadToEndAsync(), install.StandardError.ReadToEndAsync());
            using var deadline = new CancellationTokenSource(InstallDeadline);
            try
            {
                await install.WaitForExitAsync(deadline.Token);
            }
            catch (OperationCanceledException)
            {
                install.Kill(entireProcessTree: true);
            }

            Requirement.Need(
                install.HasExited && install.ExitCode == 0,
                $"the npm packages of {Folder}; 'npm ci' said: {string.Join('\n', await output)}"
            );
        }
        finally
        {
            Installing.Release();
        }
    }

    private void Receive(string? line)
    {
        if (line is null)
            return;
        var message = JsonNode.Parse(line)!.AsObject();
        if (message["id"] is not { } id)
            _events.Enqueue(message);
        else if (_waiting.TryRemove((int)id, out var answer))
            answer.SetResult(message);
    }

    private async Task<JsonObject> Deadline(Task<JsonObject> task, string what)
    {
        try
        {
            return await task.WaitAsync(AnswerDeadline);
        }
        catch (TimeoutException error)
        {
            throw new TimeoutException($"{what} did not come within {AnswerDeadline}; node said: {string.Join('\n', _complaints)}", error);
        }
    }
}
