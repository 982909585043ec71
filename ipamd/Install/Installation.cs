// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Install;

/// <summary>
/// <c>ipamd run --install</c>: the daemon installs itself, so that one container does all. The plugin at the start; the configuration when
/// an ADD can be served for the first time; and again when it is gone. Another's configuration in the place of ours is told and left: two
/// networks that overwrite each other every minute are worse than either.
/// </summary>
/// <param name="options">Where to.</param>
/// <param name="plugin">The plugin's file.</param>
/// <param name="isReady">An ADD can be served.</param>
/// <param name="time">For the pauses.</param>
/// <param name="logger">One line for each thing done.</param>
internal sealed partial class Installation(
    InstallOptions options,
    string plugin,
    Func<bool> isReady,
    TimeProvider time,
    ILogger<Installation> logger
)
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    /// <summary>Many more than there are plugins on a node.</summary>
    private const int MaxWarnings = 256;

    public static readonly TimeSpan LookEvery = TimeSpan.FromMinutes(1);

    private readonly PluginInquiry _inquiry = new(time);
    private readonly HashSet<string> _warnings = new(StringComparer.Ordinal);
    private volatile string? _problem;

    /// <summary>Why new pods do not reach this daemon; null when they do, or when nothing was tried yet.</summary>
    public string? Problem => _problem;

    private Installer Files => new(options, _inquiry, sentence => Log.Done(logger, sentence), WarnOnce);

    private string CorePlugins => Installer.CorePluginsBeside(plugin);

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await UntilDoneAsync(InstallPluginsAsync, cancellationToken);
        while (!isReady())
            await Task.Delay(AskEvery, time, cancellationToken);
        await UntilDoneAsync(Files.InstallConfigurationAsync, cancellationToken);
        Judge();
        while (true)
        {
            // After the configuration: a node is not ready later because of plugins that few pods need.
            await UntilDoneAsync(token => Files.InstallCorePluginsAsync(CorePlugins, token), cancellationToken);
            await Task.Delay(LookEvery, time, cancellationToken);
            await UntilDoneAsync(KeepAsync, cancellationToken);
        }
    }

    private async Task KeepAsync(CancellationToken cancellationToken)
    {
        if (Files.IsConfigurationOfAnother())
        {
            Tell(
                $"{Path.Combine(options.ConfigurationFolder, Conflist.FileName)} is another network's now: new pods are not ours. "
                    + "Two networks on one node (aws-node beside this one)?"
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

        Judge();
    }

    /// <summary>After all was done that can be.</summary>
    private void Judge()
    {
        if (Files.MissingPlugins() is { Count: > 0 } missing)
        {
            Tell(
                $"{string.Join(", ", missing)}, which {Conflist.FileName} calls, is not in {options.PluginFolder}: ADDs fail, and so "
                    + "do the DELs of pods that run; put it there"
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
                // Root without this capability is anybody in a folder of another user's.
                Tell(
                    $"{exception.Message} If the folder belongs to another user, give it to root or the container the capability "
                        + "DAC_OVERRIDE; SELinux may be what denies it, too."
                );
            }
            catch (IOException exception)
            {
                Tell(exception.Message);
            }

            await Task.Delay(RetryAfter, time, cancellationToken);
        }
    }

    /// <summary>What is found again every minute is said once.</summary>
    private void WarnOnce(string sentence)
    {
        if (_warnings.Count < MaxWarnings && _warnings.Add(sentence))
            Log.Warning(logger, sentence);
    }

    /// <summary>Once for each thing that is wrong, however long it lasts.</summary>
    private void Tell(string problem)
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
