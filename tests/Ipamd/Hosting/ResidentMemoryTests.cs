// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Hosting;
using Xunit;

namespace VpcCni.Ipamd.Tests.Hosting;

/// <summary>Which mappings may lose their pages: a wrong one would be a crash of the daemon.</summary>
public sealed class ResidentMemoryTests
{
    [Fact]
    public void Only_file_mappings_without_pages_of_their_own_are_given_back()
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
    public void Nonsense_gives_nothing_back() =>
        Assert.Empty(ResidentMemory.CleanFileMappings(["", "Anonymous: 0 kB", "x-y r-xp 0 0:0 1 /a", "1-2", "Anonymous: 0 kB"]));

    [Fact]
    public void A_process_goes_on_after_its_memory_was_given_back()
    {
        var memory = new ResidentMemory(NullLogger.Instance);
        memory.Look();
        memory.CollectGarbage();
        Assert.InRange(memory.ReleasePages(), 1, long.MaxValue);
        Assert.Equal(5050, Enumerable.Range(1, 100).Sum());
    }

    /// <summary>A library that is being loaded: its pages are about to be relocated, and dropping them would undo that.</summary>
    [Fact]
    public void A_mapping_that_was_not_there_before_keeps_its_pages() =>
        Assert.Equal(0, new ResidentMemory(NullLogger.Instance).ReleasePages());

    /// <summary>
    /// A kernel without CONFIG_PROC_PAGE_MONITOR, or no file descriptor left: on a timer's thread an exception would end the daemon.
    /// </summary>
    [Fact]
    public void Without_a_list_of_mappings_it_is_said_and_nothing_is_thrown()
    {
        var log = new CountingLogger();
        var memory = new ResidentMemory(log, "/nowhere/smaps");
        memory.Look();
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
