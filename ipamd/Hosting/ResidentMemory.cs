// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Runtime.InteropServices;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Gives back what is not in use: the garbage of the start, and mapped pages of code and constants. A page that is needed again is mapped
/// again by the kernel, from its cache: a minor page fault. Sixteen pages are mapped at every fault and none is ever unmapped while memory
/// is plenty, so without this nearly the whole program is resident, and counted, in a daemon that uses a tenth of it once it has started.
/// </summary>
/// <param name="logger">Told when it cannot be done. Nothing is thrown: it saves memory, and must not cost a daemon.</param>
/// <param name="mappings">Where the kernel lists them; the file is missing in some sandboxes.</param>
internal sealed partial class ResidentMemory(ILogger logger, string mappings = "/proc/self/smaps")
{
    private const int MADV_DONTNEED = 4;

    private IReadOnlyCollection<(ulong Start, ulong Length)> _seen = [];

    /// <summary>
    /// The first of two looks: a library that is being loaded at one of them looks other than at the other, and its pages are about to be
    /// written.
    /// </summary>
    public void Look() => Try(() => _seen = CleanFileMappings(File.ReadLines(mappings)));

    /// <summary>For the end of the start: once, it moves every object.</summary>
    public void CollectGarbage() =>
        Try(static () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));

    /// <summary>
    /// Of the mappings that <see cref="Look"/> saw and that are still the same. A millisecond for the list of them, and as much for the
    /// page faults that follow.
    /// </summary>
    /// <returns>Bytes of address space that were given back.</returns>
    public long ReleasePages()
    {
        var released = 0L;
        Try(() =>
        {
            foreach (var (start, length) in CleanFileMappings(File.ReadLines(mappings)).Intersect(_seen))
            {
                // Hints: a mapping that is locked or gone keeps its pages, which harms nobody.
                if (Advise((nint)start, (nint)length, MADV_DONTNEED) == 0)
                    released += (long)length;
            }
        });
        return released;
    }

    /// <summary>
    /// Mappings of files that cannot be written through and have no page of their own (<c>Anonymous: 0 kB</c>): dropping a page loses
    /// nothing. Relocated data has pages of its own and is left alone. Format: proc_pid_smaps(5).
    /// </summary>
    internal static IReadOnlyList<(ulong Start, ulong Length)> CleanFileMappings(IEnumerable<string> smaps)
    {
        List<(ulong, ulong)> clean = [];
        (ulong Start, ulong Length)? candidate = null;
        foreach (var line in smaps)
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length >= 5 && fields[0].Split('-') is [var from, var to] && TryHex(from, out var start) && TryHex(to, out var end))
            {
                var isFile = fields.Length >= 6 && fields[5].StartsWith('/');
                candidate = isFile && (fields[1] is "r-xp" or "r--p") ? (start, end - start) : null;
            }
            else if (candidate is { } mapping && fields is ["Anonymous:", "0", ..])
            {
                clean.Add(mapping);
                candidate = null;
            }
        }

        return clean;
    }

    private void Try(Action body)
    {
        try
        {
            body();
        }
        catch (Exception exception)
        {
            // Of whatever kind: on a timer's thread it would end the process.
            Log.Kept(logger, exception);
        }
    }

    private static bool TryHex(string text, out ulong value) =>
        ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    // int madvise(void *addr, size_t length, int advice);
    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint start, nint length, int advice);

    private static partial class Log
    {
        [LoggerMessage(105, LogLevel.Warning, "memory that is not in use could not be given back; the daemon works without that")]
        public static partial void Kept(ILogger logger, Exception exception);
    }
}
