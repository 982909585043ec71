// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Install;

/// <summary>
/// Implements <c>ipamd run --install</c>: the daemon installs itself, so that one container suffices. It installs the plugin at the start,
/// the configuration once the daemon can serve an ADD, and both again if they disappear. It reports another network's configuration in
/// their place, but does not replace it: two networks that overwrite each other every minute are worse than either.
/// </summary>
/// <param name="options">Folders and settings.</param>
/// <param name="plugin">Path of the plugin's file.</param>
/// <param name="isReady">Whether the daemon can serve an ADD.</param>
/// <param name="time">Clock for the pauses.</param>
/// <param name="logger">Logs each action.</param>
internal sealed partial class Installation(
    InstallOptions options,
    string plugin,
    Func<bool> isReady,
    TimeProvider time,
    ILogger<Installation> logger
)
{
    private static readonly TimeSpan ReadyPollInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    /// <summary>Maximum number of distinct warnings; far more than a node has plugins.</summary>
    private const int MaxWarnings = 256;

    public static readonly TimeSpan CheckInterval = TimeSpan.FromMinutes(1);

    private readonly PluginInquiry _inquiry = new(time);
    private readonly HashSet<string> _warnings = new(StringComparer.Ordinal);
    private volatile string? _problem;

    /// <summary>Why new pods do not reach this daemon; null if they do, or before the first attempt.</summary>
    public string? Problem => _problem;

    private Installer Files => new(options, _inquiry, sentence => Log.Done(logger, sentence), WarnOnce);

    private string CorePlugins => Installer.CorePluginsBeside(plugin);

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await UntilDoneAsync(InstallPluginsAsync, cancellationToken);
        while (!isReady())
            await Task.Delay(ReadyPollInterval, time, cancellationToken);
        await UntilDoneAsync(Files.InstallConfigurationAsync, cancellationToken);
        UpdateProblem();
        while (true)
        {
            // Core plugins that few pods need come after the configuration, so that they do not delay the node's readiness.
            await UntilDoneAsync(token => Files.InstallCorePluginsAsync(CorePlugins, token), cancellationToken);
            await Task.Delay(CheckInterval, time, cancellationToken);
            await UntilDoneAsync(RepairAsync, cancellationToken);
        }
    }

    private async Task RepairAsync(CancellationToken cancellationToken)
    {
        if (Files.IsConfigurationOfAnother())
        {
            ReportProblem(
                $"{Path.Combine(options.ConfigurationFolder, Conflist.FileName)} belongs to another network now, so new pods do not use "
                    + "this one. Check whether two networks are installed on the node, such as aws-node."
            );
            return;
        }

        if (!Files.IsInstalled())
        {
            await InstallPluginsAsync(cancellationToken);
            await Files.InstallConfigurationAsync(cancellationToken);
        }
        else
        {
            await Files.InstallNeededPluginsAsync(CorePlugins, cancellationToken);
            await Files.UpdateVersionsAsync(cancellationToken);
        }

        UpdateProblem();
    }

    /// <summary>Updates the problem after an installation or repair.</summary>
    private void UpdateProblem()
    {
        if (Files.MissingPlugins() is { Count: > 0 } missing)
        {
            ReportProblem(
                $"{string.Join(", ", missing)}, which {Conflist.FileName} calls, is not in {options.PluginFolder}: ADDs fail, and so "
                    + "do the DELs of running pods; install it there"
            );
            return;
        }

        _problem = null;
    }

    private async Task InstallPluginsAsync(CancellationToken cancellationToken)
    {
        Files.InstallPlugin(plugin);
        await Files.InstallNeededPluginsAsync(CorePlugins, cancellationToken);
    }

    private async Task UntilDoneAsync(Func<CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await work(cancellationToken);
                return;
            }
            catch (UnauthorizedAccessException exception)
            {
                // Without this capability, root has no special rights in a folder of another user.
                ReportProblem(
                    $"{exception.Message} If the folder belongs to another user, change its owner to root, or give the container the "
                        + "capability DAC_OVERRIDE. SELinux may deny access, too."
                );
            }
            catch (IOException exception)
            {
                ReportProblem(exception.Message);
            }

            await Task.Delay(RetryAfter, time, cancellationToken);
        }
    }

    /// <summary>Logs a warning once, however often it recurs.</summary>
    private void WarnOnce(string sentence)
    {
        if (_warnings.Count < MaxWarnings && _warnings.Add(sentence))
            Log.Warning(logger, sentence);
    }

    /// <summary>Reports a problem once, however long it lasts.</summary>
    private void ReportProblem(string problem)
    {
        if (problem == _problem)
            return;
        _problem = problem;
        Log.Problem(logger, problem);
    }

    private static partial class Log
    {
        [LoggerMessage(700, LogLevel.Information, "installation: {Sentence}")]
        public static partial void Done(ILogger logger, string sentence);

        [LoggerMessage(702, LogLevel.Warning, "installation: {Sentence}")]
        public static partial void Warning(ILogger logger, string sentence);

        [LoggerMessage(701, LogLevel.Error, "installation: {Problem}")]
        public static partial void Problem(ILogger logger, string problem);
    }
}
