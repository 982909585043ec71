// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.IO.Compression;
using VpcCni.Chart.Tests;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>
/// ipamd/method-order.gz names methods of the native program. The compiler silently ignores outdated names, and the resident memory of the
/// daemon grows by 7 MiB.
/// </summary>
public sealed class MethodOrderTests
{
    private const double LeastShare = 0.8;

    [Fact]
    public async Task Listed_methods_exist_and_are_adjacent()
    {
        var symbols = Path.Combine(HelmRenderer.Repository, "out", "native", "ipamd", "ipamd.dbg");
        Requirement.Need(File.Exists(symbols), "native binaries in out/ (make build)");
        var nm = Requirement.NeedProgram("nm");
        var listed = (await ListedAsync()).ToHashSet(StringComparer.Ordinal);
        using var program = Process.Start(
            new ProcessStartInfo(nm)
            {
                ArgumentList = { "--numeric-sort", "--defined-only", symbols },
                RedirectStandardOutput = true,
                UseShellExecute = false,
            }
        )!;
        List<ulong> places = [];
        while (await program.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            // A line is: 0000000000559900 t name
            if (line.Length > 19 && line[17] is 't' or 'T' && listed.Contains(line[19..]))
                places.Add(Convert.ToUInt64(line[..16], 16));
        }

        await program.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(
            places.Count >= listed.Count * LeastShare,
            $"{places.Count} of {listed.Count} listed methods are in the program; run scripts/update-method-order and commit the file"
        );

        // Nine of ten are within the first few MiB after the first.
        Assert.InRange(places[places.Count * 9 / 10] - places[0], 1UL, 6UL * 1024 * 1024);
    }

    private static async Task<string[]> ListedAsync()
    {
        await using var packed = File.OpenRead(Path.Combine(HelmRenderer.Repository, "ipamd", "method-order.gz"));
        await using var text = new GZipStream(packed, CompressionMode.Decompress);
        using var reader = new StreamReader(text);
        return (await reader.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
