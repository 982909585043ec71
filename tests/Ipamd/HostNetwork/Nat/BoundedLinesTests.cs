// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork.Nat;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork.Nat;

public sealed class BoundedLinesTests
{
    [Fact]
    public async Task Selected_lines_are_kept_whatever_is_between_them()
    {
        var text = string.Concat(
            Enumerable
                .Range(0, 50_000)
                .Select(number => number % 10_000 == 0 ? $"keep {number}\n" : $"-A KUBE-SVC-{number} -j KUBE-SEP-{number}\n")
        );
        Assert.Equal(
            ("keep 0\nkeep 10000\nkeep 20000\nkeep 30000\nkeep 40000\n", true),
            await ReadAsync(text, line => line.StartsWith("keep"), limit: 1000)
        );
    }

    [Fact]
    public async Task Other_lines_allocate_no_memory()
    {
        var text = string.Concat(
            Enumerable
                .Range(0, 50_000)
                .Select(number => $"-A KUBE-SVC-{number} -m comment --comment \"default/service-{number}\" -j KUBE-SEP-{number}\n")
        );
        var before = GC.GetAllocatedBytesForCurrentThread();
        var reading = ReadAsync(text, line => line.StartsWith("keep"), limit: 1000);
        // A string is read synchronously, so all of it was on this thread.
        Assert.True(reading.IsCompletedSuccessfully);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, text.Length / 3);
        Assert.Equal(("", true), await reading);
    }

    [Fact]
    public async Task Last_line_without_an_end_is_a_line() =>
        Assert.Equal(("a\nb\n", true), await ReadAsync("a\nb", keep: null, limit: 100));

    [Fact]
    public async Task Output_beyond_the_limit_is_dropped_and_reported() =>
        Assert.Equal(("aaaa\n", false), await ReadAsync("aaaa\nbbbb\nc\n", keep: null, limit: 8));

    [Fact]
    public async Task Line_without_end_is_truncated()
    {
        var (kept, isWhole) = await ReadAsync(new string('x', 10_000_000), keep: null, limit: 1_000_000);
        Assert.True(isWhole);
        Assert.InRange(kept.Length, 1, 100_000);
    }

    private static async Task<(string Kept, bool IsWhole)> ReadAsync(string text, LineFilter? keep, int limit)
    {
        using var reader = new StringReader(text);
        return await BoundedLines.ReadAsync(reader, keep, limit, CancellationToken.None);
    }
}
