// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Runtime.InteropServices;

namespace VpcCni.Ipamd.Hosting;

/// <summary>
/// Releases unused memory: garbage of the start, and mapped pages of code and constants. If a page is needed again, the kernel maps it from
/// its cache, at the cost of a minor page fault. The kernel maps sixteen pages per fault and unmaps none while memory is plentiful, so
/// nearly the whole program would stay resident in a daemon that uses a tenth of it after its start.
/// </summary>
/// <param name="logger">Logs failures. The class never throws, because saving memory must not end the daemon.</param>
/// <param name="mappings">File in which the kernel lists the mappings; missing in some sandboxes.</param>
internal sealed partial class ResidentMemory(ILogger logger, string mappings = "/proc/self/smaps")
{
    private const int MADV_DONTNEED = 4;

    private IReadOnlyCollection<(ulong Start, ulong Length)> _scanned = [];

    /// <summary>
    /// Records the current mappings. A library that is being loaded differs between this scan and <see cref="ReleasePages"/>, and its pages
    /// are about to be written.
    /// </summary>
    public void Scan() => Try(() => _scanned = CleanFileMappings(File.ReadLines(mappings)));

    /// <summary>Collects and compacts the whole heap. Meant for the end of the start, because it moves every object.</summary>
    public void CollectGarbage() =>
        Try(static () => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true));

    /// <summary>
    /// Releases the mappings that <see cref="Scan"/> recorded and that have not changed. Takes about a millisecond, and as much for the
    /// page faults that follow.
    /// </summary>
    /// <returns>Bytes of released address space.</returns>
    public long ReleasePages()
    {
        var released = 0L;
        Try(() =>
        {
            foreach (var (start, length) in CleanFileMappings(File.ReadLines(mappings)).Intersect(_scanned))
            {
                // madvise(2) is a hint: a locked or removed mapping keeps its pages, which is harmless.
                if (Advise((nint)start, (nint)length, MADV_DONTNEED) == 0)
                    released += (long)length;
            }
        });
        return released;
    }

    /// <summary>
    /// Returns file mappings that are not writable and have no anonymous pages (<c>Anonymous: 0 kB</c>), so that dropping a page loses
    /// nothing. Relocated data has anonymous pages and is excluded. Format: proc_pid_smaps(5).
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
            // Any exception would end the process, because this runs on a timer's thread.
            Log.NotReleased(logger, exception);
        }
    }

    private static bool TryHex(string text, out ulong value) =>
        ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    // int madvise(void *addr, size_t length, int advice);
    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint start, nint length, int advice);

    private static partial class Log
    {
        [LoggerMessage(105, LogLevel.Warning, "unused memory could not be released; the daemon works without that")]
        public static partial void NotReleased(ILogger logger, Exception exception);
    }
}
