// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Runtime.InteropServices;

namespace VpcCni.Ipamd;

/// <summary>
/// Gives back what is not in use: the garbage of the start, and mapped pages of code and constants. A page that is needed again is mapped again by the kernel, from its cache: a
/// minor page fault. Sixteen pages are mapped at every fault and none is ever unmapped while memory is plenty, so without this nearly the whole program is resident, and counted,
/// in a daemon that uses a tenth of it once it has started.
/// </summary>
internal static partial class ResidentMemory
{
    private const int MADV_DONTNEED = 4;

    /// <summary>For the end of the start: once, it moves every object.</summary>
    public static void CollectGarbage() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

    /// <summary>A millisecond for the list of mappings, and as much for the page faults that follow.</summary>
    public static void ReleasePages()
    {
        foreach (var (start, length) in CleanFileMappings(File.ReadLines("/proc/self/smaps")))
        {
            // Advice: a mapping that is locked or gone keeps its pages, which harms nobody.
            _ = Advise((nint)start, (nint)length, MADV_DONTNEED);
        }
    }

    /// <summary>
    /// Mappings of files that cannot be written through and have no page of their own (<c>Anonymous: 0 kB</c>): dropping a page loses nothing. Relocated data has pages of its own
    /// and is left alone. Format: proc_pid_smaps(5).
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

    private static bool TryHex(string text, out ulong value) => ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    // int madvise(void *addr, size_t length, int advice);
    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint start, nint length, int advice);
}
