// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger.Checkpoint;

namespace VpcCni.Ipamd.Install;

/// <summary>
/// Puts the plugin and its configuration where the container runtime looks, and takes them away again. Files appear whole or not at all: written beside, synced, renamed. Running it twice changes
/// nothing the second time. What another network put in the configuration's place is kept beside it and put back.
/// </summary>
/// <param name="options">Where to.</param>
/// <param name="report">One sentence for each thing done.</param>
/// <param name="warn">One sentence for each thing that somebody should know.</param>
internal sealed class Installer(InstallOptions options, Action<string> report, Action<string> warn)
{
    private const UnixFileMode ForAll = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Executable = ForAll | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private string Plugin => Path.Combine(options.PluginFolder, Conflist.PluginType);

    private string Configuration => Path.Combine(options.ConfigurationFolder, Conflist.FileName);

    private string Kept => Path.Combine(options.ConfigurationFolder, Conflist.KeptFileName);

    /// <summary>The folder of the companions of a plugin.</summary>
    public static string CompanionsOf(string plugin) => Path.Combine(Path.GetDirectoryName(plugin) ?? "/", "cni");

    /// <summary>The plugin: harmless as long as no configuration names it. By rename, because a runtime may be executing the old one (ETXTBSY).</summary>
    public void InstallPlugin(string source) => Replace(Plugin, File.ReadAllBytes(source), Executable);

    /// <summary>
    /// The plugins that the configuration calls after ours, where the node lacks them: an ADD fails without. What is there stays as it is, and uninstall takes none away: other networks use them, too.
    /// </summary>
    /// <param name="folder">Beside the plugin in the image; none where the node is known to have them.</param>
    public void InstallCompanions(string folder)
    {
        if (!Directory.Exists(folder)) return;
        foreach (var source in Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal))
        {
            var path = Path.Combine(options.PluginFolder, Path.GetFileName(source));
            if (!File.Exists(path)) Replace(path, File.ReadAllBytes(source), Executable);
        }
    }

    /// <summary>
    /// The configuration: from now on the runtime calls our plugin, also for the DELs of pods that are running. Only when the daemon can serve, or the runtime would say the node is ready when it is not.
    /// </summary>
    public void InstallConfiguration()
    {
        var present = File.Exists(Configuration) ? File.ReadAllBytes(Configuration) : null;
        if (present is not null && !Conflist.IsOurs(present)) Replace(Kept, present, File.GetUnixFileMode(Configuration));
        var chained = Conflist.ChainedByOthers(present);
        foreach (var plugin in chained) warn(Chained(plugin));
        Replace(Configuration, Conflist.Render(options, chained), ForAll);
    }

    /// <summary>The runtime would call somebody else's plugin.</summary>
    public bool IsConfigurationOfAnother() => File.Exists(Configuration) && !Conflist.IsOurs(File.ReadAllBytes(Configuration));

    /// <summary>Both files are there.</summary>
    public bool IsInstalled() => File.Exists(Plugin) && File.Exists(Configuration);

    /// <summary>
    /// Plugins that the configuration calls and that are not in the folder. Each makes every ADD fail, and, what is worse, every DEL of a pod that runs: runtimes call the chain from its end, stop at the
    /// first error and try again for ever.
    /// </summary>
    public IReadOnlyList<string> MissingPlugins()
        => File.Exists(Configuration)
            ? [.. Conflist.PluginsOf(File.ReadAllBytes(Configuration)).Where(type => type != Path.GetFileName(type) || !File.Exists(Path.Combine(options.PluginFolder, type)))]
            : [];

    /// <summary>The way back: the configuration first, so that the runtime never has one whose plugin is gone.</summary>
    public void Uninstall()
    {
        if (!File.Exists(Configuration))
        {
            report($"{Configuration} is not there");
        }
        else if (!Conflist.IsOurs(File.ReadAllBytes(Configuration)))
        {
            report($"{Configuration} is not ours and stays");
        }
        else
        {
            WarnOfLostPlugins();
            RemoveConfiguration();
        }

        // Left by an uninstall that was interrupted, or overtaken by somebody else's installer: of no use any more.
        if (File.Exists(Kept)) Delete(Kept);
        if (File.Exists(Plugin)) Delete(Plugin);
        else report($"{Plugin} is not there");
    }

    private void RemoveConfiguration()
    {
        if (!File.Exists(Kept))
        {
            Delete(Configuration);
            return;
        }

        File.Move(Kept, Configuration, overwrite: true);
        FolderSync.Flush(options.ConfigurationFolder);
        report($"{Configuration} is again what it was before");
    }

    /// <summary>An ADD or DEL fails with any plugin of the chain, and the runtime's message does not say who put it there.</summary>
    private string Chained(ChainedPlugin plugin)
    {
        var kept = $"{Configuration}: the plugin {plugin.Type}, which another program appended, stays and is called after ours";
        return File.Exists(Path.Combine(options.PluginFolder, Path.GetFileName(plugin.Type)))
            ? kept : $"{kept}, but {options.PluginFolder} does not have it: if no other folder of the runtime does, every ADD fails until it is installed or its entry removed";
    }

    private void WarnOfLostPlugins()
    {
        var before = File.Exists(Kept) ? Conflist.ChainedByOthers(File.ReadAllBytes(Kept)).Select(plugin => plugin.Type).ToList() : [];
        foreach (var plugin in Conflist.ChainedByOthers(File.ReadAllBytes(Configuration)).Where(plugin => !before.Contains(plugin.Type)))
            warn($"{Configuration}: the plugin {plugin.Type}, which another program appended, goes with it; that program has to append it again");
    }

    private void Replace(string path, byte[] content, UnixFileMode mode)
    {
        if (File.Exists(path) && File.GetUnixFileMode(path) == mode && File.ReadAllBytes(path).AsSpan().SequenceEqual(content))
        {
            report($"{path} is up to date");
            return;
        }

        // It ends in nothing that a runtime reads.
        DurableFile.Replace(path, Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.new"), content, mode);
        report($"{path} is written");
    }

    private void Delete(string path)
    {
        File.Delete(path);
        FolderSync.Flush(Path.GetDirectoryName(path)!);
        report($"{path} is removed");
    }
}
