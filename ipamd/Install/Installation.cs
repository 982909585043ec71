// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.Install;

/// <summary>
/// <c>ipamd run --install</c>: the daemon installs itself, so that one container does all. The plugin at the start; the configuration when an ADD can be served for the first time; and again when
/// it is gone. Another's configuration in the place of ours is told and left: two networks that overwrite each other every minute are worse than either.
/// </summary>
/// <param name="options">Where to.</param>
/// <param name="plugin">The plugin's file.</param>
/// <param name="isReady">An ADD can be served.</param>
/// <param name="time">For the pauses.</param>
/// <param name="logger">One line for each thing done.</param>
internal sealed partial class Installation(InstallOptions options, string plugin, Func<bool> isReady, TimeProvider time, ILogger<Installation> logger)
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    public static readonly TimeSpan LookEvery = TimeSpan.FromMinutes(1);

    private volatile string? _problem;

    /// <summary>Why new pods do not reach this daemon; null when they do, or when nothing was tried yet.</summary>
    public string? Problem => _problem;

    private Installer Files => new(options, sentence => Log.Done(logger, sentence), sentence => Log.Warning(logger, sentence));

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await UntilDoneAsync(InstallPlugins, cancellationToken);
        while (!isReady()) await Task.Delay(AskEvery, time, cancellationToken);
        await UntilDoneAsync(Files.InstallConfiguration, cancellationToken);
        Judge();
        while (true)
        {
            await Task.Delay(LookEvery, time, cancellationToken);
            await UntilDoneAsync(Keep, cancellationToken);
        }
    }

    private void Keep()
    {
        if (Files.IsConfigurationOfAnother())
        {
            Tell($"{Path.Combine(options.ConfigurationFolder, Conflist.FileName)} is another network's now: new pods are not ours. Two networks on one node (aws-node beside this one)?");
            return;
        }

        if (!Files.IsInstalled()) Install();
        else if (Files.MissingPlugins().Count > 0) Files.InstallCompanions(Installer.CompanionsOf(plugin));
        Judge();
    }

    private void Install()
    {
        InstallPlugins();
        Files.InstallConfiguration();
    }

    /// <summary>After all was done that can be.</summary>
    private void Judge()
    {
        if (Files.MissingPlugins() is { Count: > 0 } missing)
        {
            Tell($"{string.Join(", ", missing)}, which {Conflist.FileName} calls, is not in {options.PluginFolder}: ADDs fail, and so do the DELs of pods that run; put it there");
            return;
        }

        _problem = null;
    }

    private void InstallPlugins()
    {
        Files.InstallPlugin(plugin);
        Files.InstallCompanions(Installer.CompanionsOf(plugin));
    }

    private async Task UntilDoneAsync(Action work, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                work();
                return;
            }
            catch (UnauthorizedAccessException exception)
            {
                // Root without this capability is anybody in a folder of another user's.
                Tell($"{exception.Message} If the folder belongs to another user, give it to root or the container the capability DAC_OVERRIDE; SELinux may be what denies it, too.");
            }
            catch (IOException exception)
            {
                Tell(exception.Message);
            }

            await Task.Delay(RetryAfter, time, cancellationToken);
        }
    }

    /// <summary>Once for each thing that is wrong, however long it lasts.</summary>
    private void Tell(string problem)
    {
        if (problem == _problem) return;
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
