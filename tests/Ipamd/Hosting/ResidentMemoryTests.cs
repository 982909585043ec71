// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Hosting;
using Xunit;

namespace VpcCni.Ipamd.Tests.Hosting;

/// <summary>Tests which mappings lose their pages; a wrong one would crash the daemon.</summary>
public sealed class ResidentMemoryTests
{
    [Fact]
    public void Only_file_mappings_without_anonymous_pages_are_released()
    {
        const string smaps = """
            560000000000-560000700000 r--p 00000000 fe:00 1234                       /opt/ipamd
            Rss:                7000 kB
            Anonymous:             0 kB
            VmFlags: rd mr mw me sd
            560000700000-560001400000 r-xp 00700000 fe:00 1234                       /opt/ipamd
            Rss:               13000 kB
            Anonymous:             0 kB
            560001400000-560001700000 r--p 01400000 fe:00 1234                       /opt/ipamd
            Rss:                3000 kB
            Anonymous:            12 kB
            560001700000-560001800000 rw-p 01700000 fe:00 1234                       /opt/ipamd
            Anonymous:             0 kB
            560001800000-560001900000 rw-p 00000000 00:00 0                          [heap]
            Anonymous:             0 kB
            7f0000000000-7f0000001000 r--p 00000000 00:00 0 
            Anonymous:             0 kB
            7f0000001000-7f0000002000 r--s 00000000 fe:00 99                         /etc/cache
            Anonymous:             0 kB
            7f0000002000-7f0000004000 r-xp 00000000 00:00 0                          [vdso]
            Anonymous:             0 kB
            """;
        Assert.Equal([(0x560000000000UL, 0x700000UL), (0x560000700000UL, 0xd00000UL)], ResidentMemory.CleanFileMappings(smaps.Split('\n')));
    }

    [Fact]
    public void Malformed_mappings_release_nothing() =>
        Assert.Empty(ResidentMemory.CleanFileMappings(["", "Anonymous: 0 kB", "x-y r-xp 0 0:0 1 /a", "1-2", "Anonymous: 0 kB"]));

    [Fact]
    public void Process_keeps_running_after_its_pages_were_released()
    {
        var memory = new ResidentMemory(NullLogger.Instance);
        memory.Scan();
        memory.CollectGarbage();
        Assert.InRange(memory.ReleasePages(), 1, long.MaxValue);
        Assert.Equal(5050, Enumerable.Range(1, 100).Sum());
    }

    /// <summary>The pages of a library that is being loaded are about to be relocated; dropping them would undo that.</summary>
    [Fact]
    public void Mapping_that_was_not_scanned_keeps_its_pages() => Assert.Equal(0, new ResidentMemory(NullLogger.Instance).ReleasePages());

    /// <summary>
    /// The kernel may lack CONFIG_PROC_PAGE_MONITOR, or no file descriptor may be left. An exception on a timer's thread would end the
    /// daemon.
    /// </summary>
    [Fact]
    public void Missing_list_of_mappings_is_logged_without_an_exception()
    {
        var log = new CountingLogger();
        var memory = new ResidentMemory(log, "/nowhere/smaps");
        memory.Scan();
        Assert.Equal(0, memory.ReleasePages());
        Assert.Equal(2, log.Warnings);
    }

    private sealed class CountingLogger : ILogger
    {
        public int Warnings { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Warnings += logLevel == LogLevel.Warning ? 1 : 0;
    }
}
