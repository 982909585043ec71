// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

public sealed class InitCommandTests
{
    private static readonly SettingOutcome[] Outcomes =
    [
        new("net.ipv4.conf.eth0.rp_filter", "2", "1"),
        new("net.ipv4.tcp_early_demux", "1", "1"),
    ];

    [Fact]
    public async Task Changed_parameters_are_printed_with_their_previous_values()
    {
        var (code, output, _) = await RunAsync(_ => Outcomes, "init");
        Assert.Equal((0, "net.ipv4.conf.eth0.rp_filter = 2 (was 1)\nnet.ipv4.tcp_early_demux = 1\n"), (code, output));
    }

    [Fact]
    public async Task Json_option_prints_json()
    {
        var (code, output, _) = await RunAsync(_ => Outcomes, "init", "--json");
        Assert.Equal(0, code);
        Assert.Equal(
            """{"settings":[{"name":"net.ipv4.conf.eth0.rp_filter","value":"2","previous":"1","changed":true},{"name":"net.ipv4.tcp_early_demux","value":"1","previous":"1","changed":false}]}"""
                + "\n",
            output
        );
    }

    [Fact]
    public async Task Parameter_that_cannot_be_set_is_a_failure()
    {
        var (code, output, error) = await RunAsync(_ => throw new HostNetworkException("/proc/sys is read-only"), "init");
        Assert.Equal((1, "", "ipamd init: /proc/sys is read-only\n"), (code, output, error));
    }

    [Fact]
    public async Task Invalid_environment_sets_nothing()
    {
        var (code, _, error) = await RunInAsync(
            _ => throw new InvalidOperationException("nothing is set"),
            new() { ["DISABLE_TCP_EARLY_DEMUX"] = "maybe" },
            "init"
        );
        Assert.Equal(1, code);
        Assert.Contains("DISABLE_TCP_EARLY_DEMUX='maybe': expected true or false", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_are_passed_on()
    {
        var seen = false;
        await RunInAsync(
            options => (seen = options.TcpEarlyDemuxDisabled) ? Outcomes : [],
            new() { ["DISABLE_TCP_EARLY_DEMUX"] = "true" },
            "init"
        );
        Assert.True(seen);
    }

    private static Task<(int Code, string Output, string Error)> RunAsync(
        Func<IpamdOptions, IReadOnlyList<SettingOutcome>> apply,
        params string[] args
    ) => RunInAsync(apply, [], args);

    private static async Task<(int Code, string Output, string Error)> RunInAsync(
        Func<IpamdOptions, IReadOnlyList<SettingOutcome>> apply,
        Dictionary<string, string> environment,
        params string[] args
    )
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var console = new CommandConsole(output, error);
        var commands = TestCommands.Create(
            console,
            nodeCommands:
            [
                json => InitCommand.Create(console, json, OptionBinder.Bind(environment), (options, _) => Task.FromResult(apply(options))),
            ]
        );
        return (await commands.InvokeAsync(args, new IpamdOptions()), output.ToString(), error.ToString());
    }
}
