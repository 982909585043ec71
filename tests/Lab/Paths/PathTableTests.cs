// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Paths;
using Xunit;

namespace VpcCni.Lab.Tests.Paths;

public sealed class PathTableTests
{
    [Fact]
    public async Task Table_shows_packets_failures_and_unchecked_paths_per_round()
    {
        var table = new PathTable();
        table.Add("addresses", "fresh", "pod to pod", new PathMeasurement("ens6 -> eth0", 205, ""));
        table.Add("addresses", "new range", "pod to pod", measurement: null);
        table.Add("addresses", "new range", "pod to the range", new PathMeasurement("ens6", 1, ""));
        table.Add("prefixes", "fresh", "pod to pod", new PathMeasurement("ens5 -> eth0", 1234567, ""));
        using var output = new StringWriter { NewLine = "\n" };

        await table.WriteAsync(output);

        Assert.Equal(
            """
                                                            addresses            prefixes
            PATH              LINKS                          fresh  new range     fresh
            pod to pod        ens6 -> eth0 or ens5 -> eth0     205     FAILED    1234567
            pod to the range  ens6                               -          1         -

            """,
            output.ToString()
        );
    }

    [Fact]
    public async Task Table_without_rounds_is_empty()
    {
        using var output = new StringWriter();

        await new PathTable().WriteAsync(output);

        Assert.Equal("", output.ToString());
    }
}
