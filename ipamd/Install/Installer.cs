// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Files;

namespace VpcCni.Ipamd.Install;

/// <summary>
/// Installs the plugin and its configuration into the container runtime's folders, and uninstalls them. Files are replaced atomically. A
/// second run changes nothing. Another network's configuration in that place is kept, and restored by the uninstallation.
/// </summary>
/// <param name="options">Folders and settings.</param>
/// <param name="inquiry">Queries the plugins on the node.</param>
/// <param name="report">Called with one sentence for each action.</param>
/// <param name="warn">Called with one sentence for each warning.</param>
internal sealed class Installer(InstallOptions options, PluginInquiry inquiry, Action<string> report, Action<string> warn)
{
    private const UnixFileMode ForAll = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Executable = ForAll | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>Maximum number of reads of a configuration that another program changes while plugins are queried.</summary>
    private const int MaxReadings = 3;

    private string Plugin => Path.Combine(options.PluginFolder, Conflist.PluginType);

    private string Configuration => Path.Combine(options.ConfigurationFolder, Conflist.FileName);

    private string Kept => Path.Combine(options.ConfigurationFolder, Conflist.KeptFileName);

    /// <summary>Returns the folder of the image's core plugins, which is beside the plugin.</summary>
    public static string CorePluginsBeside(string plugin) => Path.Combine(Path.GetDirectoryName(plugin) ?? "/", "cni");

    /// <summary>
    /// Installs the plugin, which has no effect until a configuration names it. Replaces the file by rename, because a runtime may be
    /// executing the old one (ETXTBSY).
    /// </summary>
    public void InstallPlugin(string source) => Replace(Plugin, File.ReadAllBytes(source), Executable);

    /// <summary>
    /// Installs the core plugins that every pod needs: those of the configuration, and loopback, which the runtime calls itself. See
    /// <see cref="InstallCorePluginsAsync"/>.
    /// </summary>
    /// <param name="folder">Folder of the image's core plugins; may be missing.</param>
    /// <param name="cancellationToken">Cancels between two files.</param>
    /// <exception cref="IOException">A plugin cannot be written.</exception>
    public async Task InstallNeededPluginsAsync(string folder, CancellationToken cancellationToken)
    {
        string[] needed = ["loopback", .. Conflist.PluginsOf(options, [])];
        foreach (var source in CorePlugins(folder).Where(source => needed.Contains(Path.GetFileName(source))))
            await InstallCorePluginAsync(source, cancellationToken);
    }

    /// <summary>
    /// Installs the image's core plugins where the node has none or an older one; pods with further interfaces (Multus) need them. A newer
    /// plugin, and a file that is not a core plugin, stays. Uninstalling removes none of them, because other networks use them, too. A
    /// plugin that cannot be written causes a warning.
    /// </summary>
    /// <param name="folder">Folder of the image's core plugins; may be missing.</param>
    /// <param name="cancellationToken">Cancels between two files.</param>
    public async Task InstallCorePluginsAsync(string folder, CancellationToken cancellationToken)
    {
        foreach (var source in CorePlugins(folder))
        {
            try
            {
                await InstallCorePluginAsync(source, cancellationToken);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                warn($"the core plugin {Path.GetFileName(source)} is not installed: {exception.Message}");
            }
        }
    }

    /// <summary>
    /// Installs the configuration, after which the runtime calls this plugin, even for DELs of running pods. Call it only when the daemon
    /// can serve, because the runtime then reports the node as ready. It offers CNI 1.1.0 if every plugin of the chain supports it.
    /// </summary>
    public async Task InstallConfigurationAsync(CancellationToken cancellationToken)
    {
        byte[]? present;
        IReadOnlyList<ChainedPlugin> chained;
        string? unsupported;
        var readings = MaxReadings;
        do
        {
            present = ReadConfiguration();
            chained = Conflist.ChainedByOthers(present);
            unsupported = await FindPluginWithoutStatusAsync(chained, cancellationToken);
        } while (--readings > 0 && !IsSame(present, ReadConfiguration()));
        if (present is not null && !Conflist.IsOurs(present))
            Replace(Kept, present, File.GetUnixFileMode(Configuration));
        foreach (var plugin in chained)
            warn(Chained(plugin));
        if (unsupported is not null)
            report(OldVersion(unsupported));
        Replace(Configuration, Conflist.Render(options, chained, withStatus: unsupported is null), ForAll);
    }

    /// <summary>
    /// Updates the versions that the configuration offers, after a plugin of the chain was replaced or appended: with a plugin that does
    /// not support 1.1.0, every ADD and DEL fails. Changes only this network's configuration.
    /// </summary>
    public async Task UpdateVersionsAsync(CancellationToken cancellationToken)
    {
        if (ReadConfiguration() is not { } present || !Conflist.IsOurs(present))
            return;
        var chained = Conflist.ChainedByOthers(present);
        var unsupported = await FindPluginWithoutStatusAsync(chained, cancellationToken);
        if (Conflist.HasStatus(present) == (unsupported is null))
            return;
        // Another program changed it while plugins were queried; the next check compares again.
        if (!IsSame(present, ReadConfiguration()))
            return;
        report(
            unsupported is null
                ? $"{Configuration}: every plugin of the chain now supports CNI {Conflist.StatusVersion}"
                : OldVersion(unsupported)
        );
        Replace(Configuration, Conflist.Render(options, chained, withStatus: unsupported is null), ForAll);
    }

    /// <summary>Whether the configuration is another network's.</summary>
    public bool IsConfigurationOfAnother() => File.Exists(Configuration) && !Conflist.IsOurs(File.ReadAllBytes(Configuration));

    /// <summary>Whether plugin and configuration exist.</summary>
    public bool IsInstalled() => File.Exists(Plugin) && File.Exists(Configuration);

    /// <summary>
    /// Returns the plugins that the configuration calls but the folder lacks. Each makes every ADD fail and, what is worse, every DEL of a
    /// running pod: runtimes call the chain from its end, stop at the first error, and retry forever.
    /// </summary>
    public IReadOnlyList<string> MissingPlugins() =>
        File.Exists(Configuration)
            ?
            [
                .. Conflist
                    .PluginsOf(File.ReadAllBytes(Configuration))
                    .Where(type => type != Path.GetFileName(type) || !File.Exists(Path.Combine(options.PluginFolder, type))),
            ]
            : [];

    /// <summary>Uninstalls. Removes the configuration first, so that the runtime never has one without its plugin.</summary>
    public void Uninstall()
    {
        if (!File.Exists(Configuration))
        {
            report($"{Configuration} does not exist");
        }
        else if (!Conflist.IsOurs(File.ReadAllBytes(Configuration)))
        {
            report($"{Configuration} belongs to another network and stays");
        }
        else
        {
            WarnOfLostPlugins();
            RemoveConfiguration();
        }

        // Left by an interrupted uninstallation or obsoleted by another installer; no longer of use.
        if (File.Exists(Kept))
            Delete(Kept);
        if (File.Exists(Plugin))
            Delete(Plugin);
        else
            report($"{Plugin} does not exist");
    }

    /// <summary>Returns the executables; archives of plugins also contain a licence and a readme.</summary>
    private static IEnumerable<string> CorePlugins(string folder) =>
        Directory.Exists(folder)
            ? Directory
                .EnumerateFiles(folder)
                .Where(path => File.GetUnixFileMode(path).HasFlag(UnixFileMode.UserExecute))
                .Order(StringComparer.Ordinal)
            : [];

    private async Task InstallCorePluginAsync(string source, CancellationToken cancellationToken)
    {
        var path = Path.Combine(options.PluginFolder, Path.GetFileName(source));
        cancellationToken.ThrowIfCancellationRequested();
        if (Directory.Exists(path))
        {
            warn($"{path} is a folder, so the core plugin of that name is not installed");
            return;
        }

        if (!File.Exists(path))
        {
            CopyCorePlugin(source, path, "");
            return;
        }

        // A copy keeps the modification time, so that equal files of megabytes are not compared at every start.
        if (
            new FileInfo(source) is var ours
            && new FileInfo(path) is var theirs
            && ours.Length == theirs.Length
            && ours.LastWriteTimeUtc == theirs.LastWriteTimeUtc
        )
            return;
        if (await inquiry.GetCoreVersionAsync(path, cancellationToken) is not { } present)
        {
            warn($"{path} does not identify itself as a core plugin, so it stays; remove it to install that of the image");
            return;
        }

        if (await inquiry.GetCoreVersionAsync(source, cancellationToken) is not { } offered)
            return;
        var presentProtocols = await inquiry.GetProtocolSupportAsync(path, cancellationToken);
        if (present.IsOlderThan(offered, presentProtocols, await inquiry.GetProtocolSupportAsync(source, cancellationToken)))
            CopyCorePlugin(source, path, $" in place of the core plugin {present}");
    }

    /// <summary>Copies by rename, because a runtime may be executing the old file.</summary>
    private void CopyCorePlugin(string source, string path, string instead)
    {
        DurableFile.Copy(source, path, Beside(path), Executable);
        report($"{path} is written{instead}");
    }

    /// <summary>Returns the first plugin of the chain without support for 1.1.0, and why; null if all support it.</summary>
    private async Task<string?> FindPluginWithoutStatusAsync(IReadOnlyList<ChainedPlugin> chained, CancellationToken cancellationToken)
    {
        foreach (var type in Conflist.PluginsOf(options, chained))
        {
            if (type != Path.GetFileName(type))
                return $"{type} is not a file name";
            var support = await inquiry.GetProtocolSupportAsync(Path.Combine(options.PluginFolder, type), cancellationToken);
            if (support.Supports(Conflist.StatusVersion))
                continue;
            return support.Problem.Length > 0
                ? $"the plugin {type} {support.Problem}"
                : $"the plugin {type} supports {support.Newest} at most";
        }

        return null;
    }

    private string OldVersion(string why) =>
        $"{Configuration} offers only CNI 1.0.0, so the runtime calls neither STATUS nor GC: {why}; "
        + $"expected {Conflist.StatusVersion} of every plugin in the chain (core plugins: release 1.6 or later)";

    private static bool IsSame(byte[]? content, byte[]? other) =>
        content is null ? other is null : other is not null && content.AsSpan().SequenceEqual(other);

    private byte[]? ReadConfiguration() => File.Exists(Configuration) ? File.ReadAllBytes(Configuration) : null;

    private void RemoveConfiguration()
    {
        if (!File.Exists(Kept))
        {
            Delete(Configuration);
            return;
        }

        File.Move(Kept, Configuration, overwrite: true);
        FolderSync.Flush(options.ConfigurationFolder);
        report($"{Configuration} is restored");
    }

    /// <summary>
    /// Returns the warning about a chained plugin: an ADD or DEL fails with any plugin of the chain, and the runtime's message does not say
    /// who added it.
    /// </summary>
    private string Chained(ChainedPlugin plugin)
    {
        var kept = $"{Configuration}: the plugin {plugin.Type}, which another program appended, stays and is called last";
        return File.Exists(Path.Combine(options.PluginFolder, Path.GetFileName(plugin.Type)))
            ? kept
            : $"{kept}, but it is not in {options.PluginFolder}: if no other folder of the runtime has it, every ADD fails until "
                + "it is installed or its entry is removed";
    }

    private void WarnOfLostPlugins()
    {
        var before = File.Exists(Kept) ? Conflist.ChainedByOthers(File.ReadAllBytes(Kept)).Select(plugin => plugin.Type).ToList() : [];
        foreach (var plugin in Conflist.ChainedByOthers(File.ReadAllBytes(Configuration)).Where(plugin => !before.Contains(plugin.Type)))
            warn(
                $"{Configuration}: the plugin {plugin.Type}, which another program appended, is removed, too; that program has to "
                    + "append it again"
            );
    }

    private void Replace(string path, byte[] content, UnixFileMode mode)
    {
        if (File.Exists(path) && File.GetUnixFileMode(path) == mode && File.ReadAllBytes(path).AsSpan().SequenceEqual(content))
        {
            report($"{path} is up to date");
            return;
        }

        DurableFile.Replace(path, Beside(path), content, mode);
        report($"{path} is written");
    }

    /// <summary>Returns the name of the temporary file, whose ending no runtime reads.</summary>
    private static string Beside(string path) => Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.new");

    private void Delete(string path)
    {
        File.Delete(path);
        FolderSync.Flush(Path.GetDirectoryName(path)!);
        report($"{path} is removed");
    }
}
