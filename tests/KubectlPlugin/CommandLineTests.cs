// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cli;
using Xunit;

namespace VpcCni.KubectlPlugin.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("whatiff", "did you mean 'whatif'?")]
    [InlineData("whatif --pods 1", "Option '--instance-type' is required")]
    [InlineData("whatif --instance-type m5.huge --pods x", "--pods: 'x'")]
    public async Task Invalid_command_line_has_its_own_exit_code_and_a_hint(string line, string expected)
    {
        var (code, output, error) = await RunAsync(line.Split(' '));
        Assert.Equal((64, ""), (code, output));
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.StartsWith("kubectl-vpccni", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_command_prints_the_help()
    {
        var (code, output, error) = await RunAsync();
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("whatif", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_of_a_command_fits_100_columns_and_lists_the_exit_codes()
    {
        var (code, output, _) = await RunAsync("whatif", "--help");
        Assert.Equal(0, code);
        Assert.All(output.Split('\n'), line => Assert.True(line.Length <= 100, line));
        Assert.Contains("  64  the command line is invalid", output, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await Program.InvokeAsync(args, new CommandConsole(output, error));
        return (code, output.ToString(), error.ToString());
    }
}
