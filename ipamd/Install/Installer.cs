// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Files;

namespace VpcCni.Ipamd.Install;

/// <summary>
/// Puts the plugin and its configuration where the container runtime looks, and takes them away again. Files appear whole or not at all:
/// written beside, synced, renamed. Running it twice changes nothing the second time. What another network put in the configuration's place
/// is kept beside it and put back.
/// </summary>
/// <param name="options">Where to.</param>
/// <param name="inquiry">Asks the plugins on the node.</param>
/// <param name="report">One sentence for each thing done.</param>
/// <param name="warn">One sentence for each thing that somebody should know.</param>
internal sealed class Installer(InstallOptions options, PluginInquiry inquiry, Action<string> report, Action<string> warn)
{
    private const UnixFileMode ForAll = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Executable = ForAll | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>Of a configuration that another program changes while plugins are asked.</summary>
    private const int MaxReadings = 3;

    private string Plugin => Path.Combine(options.PluginFolder, Conflist.PluginType);

    private string Configuration => Path.Combine(options.ConfigurationFolder, Conflist.FileName);

    private string Kept => Path.Combine(options.ConfigurationFolder, Conflist.KeptFileName);

    /// <summary>The folder of the core plugins that an image carries beside ours.</summary>
    public static string CorePluginsBeside(string plugin) => Path.Combine(Path.GetDirectoryName(plugin) ?? "/", "cni");

    /// <summary>
    /// The plugin: harmless as long as no configuration names it. By rename, because a runtime may be executing the old one (ETXTBSY).
    /// </summary>
    public void InstallPlugin(string source) => Replace(Plugin, File.ReadAllBytes(source), Executable);

    /// <summary>
    /// Those of the core plugins that a pod cannot start without: what the configuration calls after ours, and loopback, which the
    /// runtime calls itself. See <see cref="InstallCorePluginsAsync"/>.
    /// </summary>
    /// <param name="folder">Beside the plugin in the image; none where the node is known to have them.</param>
    /// <param name="cancellationToken">Ends it between two files.</param>
    /// <exception cref="IOException">One cannot be written.</exception>
    public async Task InstallNeededPluginsAsync(string folder, CancellationToken cancellationToken)
    {
        string[] needed = ["loopback", .. Conflist.PluginsOf(options, [])];
        foreach (var source in CorePlugins(folder).Where(source => needed.Contains(Path.GetFileName(source))))
            await InstallCorePluginAsync(source, cancellationToken);
    }

    /// <summary>
    /// The core plugins that the image carries, where the node has none or an older one: pods with further interfaces (Multus) need them.
    /// A newer one, and a file that is no core plugin, stays as it is. Uninstall takes none away: other networks use them, too. One that
    /// cannot be written is a warning.
    /// </summary>
    /// <param name="folder">Beside the plugin in the image; none where the node is known to have them.</param>
    /// <param name="cancellationToken">Ends it between two files.</param>
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
    /// The configuration: from now on the runtime calls our plugin, also for the DELs of pods that are running. Only when the daemon can
    /// serve, or the runtime would say the node is ready when it is not. It offers CNI 1.1.0 when every plugin of the chain supports
    /// that.
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
    /// Makes the versions that the configuration offers true again after a plugin of the chain was replaced or appended: with one that
    /// does not support 1.1.0 every ADD and DEL fails. Only ours is touched.
    /// </summary>
    public async Task UpdateVersionsAsync(CancellationToken cancellationToken)
    {
        if (ReadConfiguration() is not { } present || !Conflist.IsOurs(present))
            return;
        var chained = Conflist.ChainedByOthers(present);
        var unsupported = await FindPluginWithoutStatusAsync(chained, cancellationToken);
        if (Conflist.HasStatus(present) == (unsupported is null))
            return;
        // A program that changed it while plugins were asked is not overwritten: the next look compares again.
        if (!IsSame(present, ReadConfiguration()))
            return;
        report(
            unsupported is null
                ? $"{Configuration}: every plugin of the chain supports CNI {Conflist.StatusVersion} now"
                : OldVersion(unsupported)
        );
        Replace(Configuration, Conflist.Render(options, chained, withStatus: unsupported is null), ForAll);
    }

    /// <summary>The runtime would call somebody else's plugin.</summary>
    public bool IsConfigurationOfAnother() => File.Exists(Configuration) && !Conflist.IsOurs(File.ReadAllBytes(Configuration));

    /// <summary>Both files are there.</summary>
    public bool IsInstalled() => File.Exists(Plugin) && File.Exists(Configuration);

    /// <summary>
    /// Plugins that the configuration calls and that are not in the folder. Each makes every ADD fail, and, what is worse, every DEL of a
    /// pod that runs: runtimes call the chain from its end, stop at the first error and try again for ever.
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
        if (File.Exists(Kept))
            Delete(Kept);
        if (File.Exists(Plugin))
            Delete(Plugin);
        else
            report($"{Plugin} is not there");
    }

    /// <summary>Only programs: an archive of plugins has a licence and a page beside them.</summary>
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
            warn($"{path} is a folder: the core plugin of that name is not installed");
            return;
        }

        if (!File.Exists(path))
        {
            CopyCorePlugin(source, path, "");
            return;
        }

        // A copy keeps the time, so that megabytes of equal files are not compared at every start.
        if (
            new FileInfo(source) is var ours
            && new FileInfo(path) is var theirs
            && ours.Length == theirs.Length
            && ours.LastWriteTimeUtc == theirs.LastWriteTimeUtc
        )
            return;
        if (await inquiry.GetCoreVersionAsync(path, cancellationToken) is not { } present)
        {
            warn($"{path} is no core plugin that runs here and says so: it stays; remove it to have that of the image");
            return;
        }

        if (await inquiry.GetCoreVersionAsync(source, cancellationToken) is not { } offered)
            return;
        var presentProtocols = await inquiry.GetProtocolSupportAsync(path, cancellationToken);
        if (present.IsOlderThan(offered, presentProtocols, await inquiry.GetProtocolSupportAsync(source, cancellationToken)))
            CopyCorePlugin(source, path, $" in place of the core plugin {present}");
    }

    /// <summary>By rename: a runtime may be executing the old one.</summary>
    private void CopyCorePlugin(string source, string path, string instead)
    {
        DurableFile.Copy(source, path, Beside(path), Executable);
        report($"{path} is written{instead}");
    }

    /// <summary>The first plugin of the chain that does not say that it supports 1.1.0, and why; null: all do.</summary>
    private async Task<string?> FindPluginWithoutStatusAsync(IReadOnlyList<ChainedPlugin> chained, CancellationToken cancellationToken)
    {
        foreach (var type in Conflist.PluginsOf(options, chained))
        {
            if (type != Path.GetFileName(type))
                return $"{type} is no file name";
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
        $"{Configuration} offers CNI 1.0.0 only, so that the runtime calls neither STATUS nor GC: {why}; "
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
        report($"{Configuration} is again what it was before");
    }

    /// <summary>An ADD or DEL fails with any plugin of the chain, and the runtime's message does not say who put it there.</summary>
    private string Chained(ChainedPlugin plugin)
    {
        var kept = $"{Configuration}: the plugin {plugin.Type}, which another program appended, stays and is called after ours";
        return File.Exists(Path.Combine(options.PluginFolder, Path.GetFileName(plugin.Type)))
            ? kept
            : $"{kept}, but {options.PluginFolder} does not have it: if no other folder of the runtime does, every ADD fails until "
                + "it is installed or its entry removed";
    }

    private void WarnOfLostPlugins()
    {
        var before = File.Exists(Kept) ? Conflist.ChainedByOthers(File.ReadAllBytes(Kept)).Select(plugin => plugin.Type).ToList() : [];
        foreach (var plugin in Conflist.ChainedByOthers(File.ReadAllBytes(Configuration)).Where(plugin => !before.Contains(plugin.Type)))
            warn(
                $"{Configuration}: the plugin {plugin.Type}, which another program appended, goes with it; that program has to "
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

    /// <summary>It ends in nothing that a runtime reads.</summary>
    private static string Beside(string path) => Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.new");

    private void Delete(string path)
    {
        File.Delete(path);
        FolderSync.Flush(Path.GetDirectoryName(path)!);
        report($"{path} is removed");
    }
}
