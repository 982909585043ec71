// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using VpcCni.Ipamd.Cli;
using Xunit;

namespace VpcCni.KubectlPlugin.Tests;

/// <summary>Compares the output of <c>kubectl vpccni whatif</c> with the tables of the AWS VPC CNI (docs/eni-and-ip-target.md).</summary>
public sealed class WhatIfTests
{
    /// <summary>Options, numbers of pods, and for each: interfaces, secondary addresses, unused addresses.</summary>
    public static TheoryData<string, string, int[][]> DocumentedAddressTargets =>
        new()
        {
            {
                "WARM_ENI_TARGET=1",
                "0,5,9",
                [
                    [1, 3, 3],
                    [3, 9, 4],
                    [3, 9, 0],
                ]
            },
            {
                "WARM_IP_TARGET=1 MINIMUM_IP_TARGET=1",
                "0,5,9",
                [
                    [1, 1, 1],
                    [2, 6, 1],
                    [3, 9, 0],
                ]
            },
            {
                "WARM_IP_TARGET=2 MINIMUM_IP_TARGET=5",
                "0,5,9",
                [
                    [2, 5, 5],
                    [3, 7, 2],
                    [3, 9, 0],
                ]
            },
        };

    /// <summary>
    /// Options, numbers of pods, and for each: interfaces, prefixes, unused prefixes, unused addresses (docs/prefix-and-ip-target.md).
    /// </summary>
    public static TheoryData<string, string, int[][]> DocumentedPrefixTargets =>
        new()
        {
            {
                "WARM_PREFIX_TARGET=1",
                "0,5,16,17,58",
                [
                    [1, 1, 1, 16],
                    [1, 2, 1, 27],
                    [1, 2, 1, 16],
                    [1, 3, 1, 31],
                    [2, 5, 1, 22],
                ]
            },
            {
                "WARM_IP_TARGET=1 MINIMUM_IP_TARGET=1",
                "0,5,17,58",
                [
                    [1, 1, 1, 16],
                    [1, 1, 0, 11],
                    [1, 2, 0, 15],
                    [2, 4, 0, 6],
                ]
            },
            {
                "WARM_IP_TARGET=7 MINIMUM_IP_TARGET=20",
                "5,17,58",
                [
                    [1, 2, 1, 27],
                    [1, 2, 0, 15],
                    [2, 5, 1, 22],
                ]
            },
        };

    [Theory]
    [MemberData(nameof(DocumentedPrefixTargets))]
    public async Task Result_with_prefixes_equals_the_documented_table(string settings, string pods, int[][] expected)
    {
        var steps = await AskAsync("ENABLE_PREFIX_DELEGATION=true " + settings, pods);
        Assert.Equal(
            expected,
            steps.Select(step =>
                new[] { Number(step, "enis"), Number(step, "prefixes"), Number(step, "unusedPrefixes"), Number(step, "unusedAddresses") }
            )
        );
    }

    [Theory]
    [MemberData(nameof(DocumentedAddressTargets))]
    public async Task Result_equals_the_documented_table(string settings, string pods, int[][] expected)
    {
        var steps = await AskAsync(settings, pods);
        Assert.Equal(
            expected,
            steps.Select(step => new[] { Number(step, "enis"), Number(step, "addresses"), Number(step, "unusedAddresses") })
        );
        Assert.Equal(pods, string.Join(',', steps.Select(step => Number(step, "pods"))));
    }

    [Fact]
    public async Task Result_with_custom_networking_has_no_pods_on_the_primary_interface()
    {
        var steps = await AskAsync("WARM_ENI_TARGET=1 AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true", "0,1,5");
        Assert.Equal(
            [
                [2, 3, 3],
                [3, 6, 5],
                [3, 6, 1],
            ],
            steps.Select(step => new[] { Number(step, "enis"), Number(step, "addresses"), Number(step, "unusedAddresses") })
        );
        Assert.Equal(
            (0, 0),
            (Number(steps[2].GetProperty("perEni")[0], "deviceIndex"), Number(steps[2].GetProperty("perEni")[0], "addresses"))
        );
    }

    [Fact]
    public async Task Result_has_the_addresses_of_each_interface_and_the_calls_of_each_step()
    {
        var steps = await AskAsync("WARM_ENI_TARGET=1", "3,3");
        var perEni = steps[0]
            .GetProperty("perEni")
            .EnumerateArray()
            .Select(eni => (Number(eni, "deviceIndex"), Number(eni, "addresses"), Number(eni, "usedAddresses")))
            .ToArray();
        Assert.Equal([(0, 3, 3), (1, 3, 0)], perEni);
        Assert.True(Number(steps[0], "ec2Calls") >= 5, "describe, assign, create, attach, modify");
        Assert.Equal(0, Number(steps[1], "ec2Calls"));
    }

    [Fact]
    public async Task Addresses_are_released_when_pods_stop()
    {
        var steps = await AskAsync("WARM_IP_TARGET=2", "8,0");
        Assert.Equal((8, 0), (Number(steps[0], "addresses") - Number(steps[0], "unusedAddresses"), Number(steps[0], "prefixes")));
        Assert.Equal((2, 2), (Number(steps[1], "addresses"), Number(steps[1], "unusedAddresses")));
    }

    [Fact]
    public async Task Table_of_the_largest_nodes_fits_80_columns()
    {
        var (code, output, _) = await RunAsync("whatif", "--instance-type", "m5.24xlarge", "--pods", "0,300,700");
        Assert.Equal(0, code);
        Assert.All(output.Split('\n'), line => Assert.True(line.Length <= 80, line));
        Assert.Contains("  700   15", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pods_beyond_the_limit_of_the_node_are_reported()
    {
        var (code, _, error) = await RunAsync("whatif", "--instance-type", "t3.small", "--pods", "12");
        Assert.Equal(0, code);
        Assert.Contains("3 of 12 pods got no address", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("whatif --instance-type t3.smal --pods 1", "did you mean", "t3.small")]
    [InlineData("whatif --instance-type t3.small --pods 1,x", "'x' is not a number of pods", "0,5,9")]
    [InlineData("whatif --instance-type t3.small --pods -1", "'-1' is not a number of pods", "")]
    [InlineData("whatif --instance-type t3.small --pods 1 --set WARM_IP_TARGET", "expected NAME=VALUE", "")]
    [InlineData("whatif --instance-type t3.small --pods 1 --set WARM_IP_TARGET=many", "expected an integer", "WARM_IP_TARGET")]
    [InlineData("whatif --instance-type t3.small --pods 1 --set WARM_IPS_TARGET=1", "no such option", "WARM_IP_TARGET")]
    [InlineData("whatif --instance-type t3.small --pods 1 --set ENABLE_IPv6=true", "whatif computes IPv4 addresses only", "expected false")]
    [InlineData(
        "whatif --instance-type t3.small --pods 1 --set ENABLE_IPv6=true --set ENABLE_IPv4=false --set ENABLE_PREFIX_DELEGATION=true",
        "--set ENABLE_IPv6=true: whatif computes IPv4 addresses only",
        "expected false"
    )]
    public async Task Invalid_request_is_rejected_with_a_reason(string command, string reason, string hint)
    {
        var (code, output, error) = await RunAsync(command.Split(' '));
        Assert.Equal((64, ""), (code, output));
        Assert.Contains(reason, error, StringComparison.Ordinal);
        Assert.Contains(hint, error, StringComparison.Ordinal);
    }

    private static int Number(JsonElement element, string name) => element.GetProperty(name).GetInt32();

    private static async Task<JsonElement[]> AskAsync(string settings, string pods)
    {
        string[] args =
        [
            "whatif",
            "--instance-type",
            "t3.small",
            "--pods",
            pods,
            .. settings.Split(' ').SelectMany(setting => new[] { "--set", setting }),
            "--json",
        ];
        var (code, output, error) = await RunAsync(args);
        Assert.True(code == 0, error);
        using var document = JsonDocument.Parse(output);
        return [.. document.RootElement.Clone().EnumerateArray()];
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await Program.InvokeAsync(args, new CommandConsole(output, error));
        return (code, output.ToString(), error.ToString());
    }
}
