// SPDX-License-Identifier: Apache-2.0
using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace VpcCni.Ipamd.Install;

/// <summary>
/// Executes CNI plugins to find out their protocol versions (the command VERSION), and the line that a core plugin prints without a
/// command. Each run has a deadline and bounded output. An answer is cached until the file changes; a failure is not cached. Not
/// thread-safe.
/// </summary>
/// <param name="time">Clock for the deadline.</param>
internal sealed class PluginInquiry(TimeProvider time)
{
    /// <summary>Deadline of a run. Plugins answer within milliseconds, but more slowly on a node that is starting many pods.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    /// <summary>Maximum output per stream, in bytes; answers have a few hundred.</summary>
    public const int MaxOutput = 64 * 1024;

    private const int ETXTBSY = 26;
    private static readonly TimeSpan BusyRetry = TimeSpan.FromMilliseconds(20);

    private readonly Dictionary<string, (FileStamp Stamp, ProtocolSupport Answer)> _support = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (FileStamp Stamp, CorePluginVersion? Answer)> _introductions = new(StringComparer.Ordinal);

    /// <summary>Returns the protocol versions that the plugin supports.</summary>
    public async Task<ProtocolSupport> GetProtocolSupportAsync(string path, CancellationToken cancellationToken)
    {
        var stamp = FileStamp.Of(path);
        if (stamp is null)
            return ProtocolSupport.Unknown("does not exist");
        if (_support.TryGetValue(path, out var kept) && kept.Stamp == stamp)
            return kept.Answer;
        var (run, problem) = await RunAsync(path, "VERSION", """{"cniVersion":"1.0.0"}""", cancellationToken);
        var answer = run is null ? ProtocolSupport.Unknown(problem) : ProtocolSupport.Parse(run.ExitCode, run.Output);
        if (answer.Versions.Count > 0)
            _support[path] = (stamp.Value, answer);
        return answer;
    }

    /// <summary>
    /// Returns the version of a core plugin (github.com/containernetworking/plugins); null if it is not a core plugin or cannot be
    /// executed.
    /// </summary>
    public async Task<CorePluginVersion?> GetCoreVersionAsync(string path, CancellationToken cancellationToken)
    {
        var stamp = FileStamp.Of(path);
        if (stamp is null)
            return null;
        if (_introductions.TryGetValue(path, out var kept) && kept.Stamp == stamp)
            return kept.Answer;
        var (run, _) = await RunAsync(path, command: null, "", cancellationToken);
        if (run is null)
            return null;
        var answer = CorePluginVersion.Parse(Path.GetFileName(path), run.Errors);
        _introductions[path] = (stamp.Value, answer);
        return answer;
    }

    /// <returns>Null and the reason if the plugin did not run to its end.</returns>
    private async Task<(PluginRun? Run, string Problem)> RunAsync(
        string path,
        string? command,
        string input,
        CancellationToken cancellationToken
    )
    {
        using var limit = new CancellationTokenSource(Deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var process = await StartAsync(path, command, both.Token);
            try
            {
                var output = ReadAsync(process.StandardOutput.BaseStream, both.Token);
                var errors = ReadAsync(process.StandardError.BaseStream, both.Token);
                await FeedAsync(process, input, both.Token);
                // Handles the streams as they end, because a plugin that prints endlessly may keep the other one open.
                await foreach (var text in Task.WhenEach(output, errors))
                {
                    if (await text is null)
                        return (null, $"printed more than {MaxOutput / 1024} KiB");
                }

                await process.WaitForExitAsync(both.Token);
                return (new PluginRun(process.ExitCode, (await output)!, (await errors)!), "");
            }
            finally
            {
                // Kills the whole tree, because a script's children keep its streams open.
                if (!process.HasExited)
                    process.Kill(entireProcessTree: true);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, $"did not answer within {Deadline.TotalSeconds:0} s");
        }
        catch (Win32Exception exception)
        {
            return (null, $"cannot be executed ({exception.Message})");
        }
    }

    private async Task<Process> StartAsync(string path, string? command, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(path)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        // The plugin must not inherit the daemon's environment, which may have credentials.
        start.Environment.Clear();
        start.Environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        if (command is not null)
        {
            start.Environment["CNI_COMMAND"] = command;
            // VERSION does not need these, but plugins built with old libraries require them; libcni sends the same values.
            foreach (var name in (string[])["CNI_NETNS", "CNI_IFNAME", "CNI_PATH"])
                start.Environment[name] = "dummy";
        }

        while (true)
        {
            try
            {
                return Process.Start(start)!;
            }
            catch (Win32Exception exception) when (exception.NativeErrorCode == ETXTBSY)
            {
                // Another child of this process was forked while the file was being written, and keeps it open for writing until its own
                // exec.
                await Task.Delay(BusyRetry, time, cancellationToken);
            }
        }
    }

    private static async Task FeedAsync(Process process, string input, CancellationToken cancellationToken)
    {
        try
        {
            await process.StandardInput.WriteAsync(input.AsMemory(), cancellationToken);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The plugin exited without reading, as a core plugin does without a command; its output counts.
        }
    }

    /// <summary>Returns null if there is more than <see cref="MaxOutput"/>.</summary>
    private static async Task<string?> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var buffer = new byte[MaxOutput + 1];
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        return length > MaxOutput ? null : Encoding.UTF8.GetString(buffer, 0, length);
    }

    private sealed record PluginRun(int ExitCode, string Output, string Errors);

    /// <summary>Identifies a version of the file at a path.</summary>
    private readonly record struct FileStamp(long Length, DateTime Written)
    {
        public static FileStamp? Of(string path) =>
            new FileInfo(path) is { Exists: true } file ? new FileStamp(file.Length, file.LastWriteTimeUtc) : null;
    }
}

/// <summary>The protocol versions that a plugin supports, or why they are unknown.</summary>
/// <param name="Versions">Versions as printed by the plugin; empty if unknown.</param>
/// <param name="Problem">Reason in words that follow "the plugin"; empty if known.</param>
internal sealed record ProtocolSupport(IReadOnlyList<string> Versions, string Problem)
{
    private const int MaxVersions = 64;

    public static ProtocolSupport Unknown(string problem) => new([], problem);

    /// <summary>The newest version; null if unknown.</summary>
    public Version? Newest => Versions.Select(text => Version.TryParse(text, out var version) ? version : null).Max();

    public bool Supports(string version) => Versions.Contains(version, StringComparer.Ordinal);

    /// <summary>
    /// Parses the answer to VERSION, as in the CNI specification: <c>{"cniVersion": "1.0.0", "supportedVersions": ["0.3.1", "1.0.0"]}</c>.
    /// </summary>
    public static ProtocolSupport Parse(int exitCode, string output)
    {
        if (exitCode != 0)
            return Unknown($"answered VERSION with exit code {exitCode}");
        try
        {
            using var document = JsonDocument.Parse(output);
            if (
                document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("supportedVersions", out var list)
                && list.ValueKind == JsonValueKind.Array
                && list.GetArrayLength() is > 0 and <= MaxVersions
                && list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String)
            )
                return new ProtocolSupport([.. list.EnumerateArray().Select(item => item.GetString()!)], "");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Handled below. InvalidOperationException: the text is not valid Unicode.
        }

        return Unknown("answered VERSION without an object with supportedVersions");
    }
}
