// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using VpcCni.Datapath;
using VpcCni.Logging;
using VpcCni.MissedDels;
using VpcCni.SystemCalls;

namespace VpcCni.Shim.Ipamd;

/// <summary>
/// Leaves a note of a DEL that the daemon did not answer, which the daemon takes when it runs again (docs/adr/0021-missed-dels.md). Some
/// twenty system calls on a file system in memory. A note that cannot be left neither fails nor delays the DEL: the daemon then finds out
/// by the kernel.
/// </summary>
internal static class MissedDelNote
{
    private const string BootIdFile = "/proc/sys/kernel/random/boot_id";

    /// <summary>A UUID as text.</summary>
    private const int BootIdLength = 36;

    /// <summary>False if there is none; the log says why.</summary>
    public static bool TryLeave(PluginHost plugin, Invocation invocation, NetworkConfig config, PluginLog log)
    {
        try
        {
            var note = new MissedDel(
                config.Name,
                invocation.ContainerId,
                invocation.InterfaceName,
                plugin.Time.GetUtcNow(),
                plugin.Time.GetElapsedTime(0),
                BootId()
            );
            using var folder = MissedDelFolder.Open(config.IpamdSocket);
            folder.Write(HashOf(note), MissedDelFormat.Write(note), (uint)plugin.Random.Next());
            return true;
        }
        catch (IOException exception)
        {
            log.Warn("no note of this DEL could be left for the daemon", (FieldNames.Error, exception.Message));
            return false;
        }
    }

    /// <summary>Of the attachment's key; a zero octet is in none of its parts.</summary>
    internal static string HashOf(MissedDel note) =>
        Convert.ToHexStringLower(Sha1.Hash(Encoding.UTF8.GetBytes($"{note.NetworkName}\0{note.ContainerId}\0{note.InterfaceName}")));

    private static string BootId()
    {
        using var file =
            FileCalls.TryOpen(FileCalls.AT_FDCWD, BootIdFile, FileCalls.O_RDONLY, out var errno, follows: true)
            ?? throw new IOException($"open {BootIdFile}: {FileCalls.Describe(errno)}");
        Span<byte> text = stackalloc byte[BootIdLength];
        var length = FileCalls.Read(file, text);
        return length == BootIdLength
            ? Encoding.ASCII.GetString(text)
            : throw new IOException(
                $"{BootIdFile} has {length.ToString(CultureInfo.InvariantCulture)} characters, expected {BootIdLength}"
            );
    }
}
