// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.Reflection;
using VpcCni.Ipamd.Cli;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Protos.V1;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

public sealed class CommandLineTests
{
    public static TheoryData<string> Names =>
        [
            .. Create(new CommandConsole(TextWriter.Null, TextWriter.Null))
                .Create(new IpamdOptions())
                .Subcommands.Select(command => command.Name),
        ];

    [Fact]
    public async Task No_command_prints_the_help_and_starts_nothing()
    {
        var bare = await RunAsync();
        Assert.Equal((0, ""), (bare.Code, bare.Error));
        Assert.Equal((await RunAsync("--help")).Output, bare.Output);
        Assert.Contains("Usage:", bare.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("statsu", "did you mean 'status'?")]
    [InlineData("explian default/web", "did you mean 'explain'?")]
    [InlineData("help", "did you mean '--help'?")]
    [InlineData("status --jsno", "did you mean '--json'?")]
    [InlineData("status more", "Unrecognized command or argument 'more'")]
    [InlineData("--json run", "'run' has no --json")]
    [InlineData("access all", "Must be one of: 'full' 'no-releases' 'no-calls'")]
    [InlineData("explain", "Required argument 'pod' missing for command")]
    [InlineData("completion powershell", "'bash'")]
    public async Task Invalid_command_line_has_its_own_exit_code_and_a_suggestion(string line, string expected)
    {
        var outcome = await RunAsync(line.Split(' '));
        Assert.Equal((64, ""), (outcome.Code, outcome.Output));
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unrelated_name_is_not_suggested() =>
        Assert.DoesNotContain("did you mean", (await RunAsync("decommission")).Error, StringComparison.Ordinal);

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Help_fits_100_columns_and_lists_the_exit_codes(string command)
    {
        var outcome = await RunAsync(command, "--help");
        Assert.Equal(0, outcome.Code);
        Assert.All(outcome.Output.Split('\n'), line => Assert.True(line.Length <= 100, line));
        Assert.Contains("  0   ", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("  64  the command line is invalid", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_of_every_command_fits_100_columns_and_a_narrow_terminal()
    {
        Assert.All((await RunAsync("--help")).Output.Split('\n'), line => Assert.True(line.Length <= 100, line));
        using var output = new StringWriter { NewLine = "\n" };
        await Create(new CommandConsole(output, TextWriter.Null) { Columns = () => 80 })
            .InvokeAsync(["audit", "--help"], new IpamdOptions());
        Assert.All(output.ToString().Split('\n'), line => Assert.True(line.Length <= 80, line));
    }

    /// <summary>The exit code of usage errors must differ from every result.</summary>
    [Fact]
    public void No_command_uses_the_code_of_usage_errors_as_a_result()
    {
        var commands = Create(new CommandConsole(TextWriter.Null, TextWriter.Null)).Create(new IpamdOptions()).Subcommands;
        Assert.All(
            commands,
            command => Assert.Equal(1, Assert.IsType<DocumentedCommand>(command).ExitCodes.Count(code => code.Code == 64))
        );
        Assert.All(
            commands.Cast<DocumentedCommand>(),
            command => Assert.Equal(command.ExitCodes.Count, command.ExitCodes.DistinctBy(code => code.Code).Count())
        );
    }

    [Theory]
    [InlineData("", "status")]
    [InlineData("access ", "no-releases")]
    [InlineData("status --", "--offline")]
    [InlineData("completion ", "zsh")]
    public void Completion_offers_valid_words(string line, string expected) =>
        Assert.Contains(
            Create(new CommandConsole(TextWriter.Null, TextWriter.Null)).Create(new IpamdOptions()).Parse(line).GetCompletions(line.Length),
            item => item.Label == expected
        );

    [Theory]
    [InlineData("bash", "complete -o default -F _ipamd ipamd")]
    [InlineData("zsh", "compdef _ipamd ipamd")]
    [InlineData("fish", "complete --command ipamd")]
    public async Task Completion_prints_a_script(string shell, string expected)
    {
        var outcome = await RunAsync("completion", shell);
        Assert.Equal(0, outcome.Code);
        Assert.Contains(expected, outcome.Output, StringComparison.Ordinal);
        Assert.Contains("[suggest:", outcome.Output, StringComparison.Ordinal);
    }

    /// <summary>protobuf's JSON writes 64-bit integers as strings, so replies have none.</summary>
    [Fact]
    public void Numbers_in_json_are_numbers()
    {
        var fields = NodeIpamReflection
            .Descriptor.MessageTypes.SelectMany(WithNested)
            .SelectMany(message => message.Fields.InDeclarationOrder())
            .ToArray();
        Assert.NotEmpty(fields);
        Assert.DoesNotContain(
            fields,
            field => field.FieldType is FieldType.Int64 or FieldType.UInt64 or FieldType.SInt64 or FieldType.Fixed64 or FieldType.SFixed64
        );
        var json = StatusReport.Json.Format(new VpcCni.Protos.V1.Cloud { DriftFound = 3, Calls = { new CallCount { Count = 2 } } });
        Assert.Contains("\"driftFound\": 3", json, StringComparison.Ordinal);
        Assert.Contains("\"count\": 2", json, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, 120, "80", 120)]
    [InlineData(false, 0, "80", 80)]
    [InlineData(true, 120, null, null)]
    [InlineData(true, 120, "60", 60)]
    [InlineData(true, 120, "wide", null)]
    [InlineData(true, 120, "0", null)]
    public void Columns_come_from_terminal_then_variable_or_are_unlimited(bool isRedirected, int window, string? variable, int? expected) =>
        Assert.Equal(expected, Terminal.Columns(isRedirected, () => window, variable));

    private static IEnumerable<MessageDescriptor> WithNested(MessageDescriptor message) =>
        message.NestedTypes.SelectMany(WithNested).Prepend(message);

    private static DaemonCommands Create(CommandConsole console) =>
        TestCommands.Create(
            console,
            nodeCommands:
            [
                json =>
                    InitCommand.Create(
                        console,
                        json,
                        OptionBinder.Bind(new Dictionary<string, string>()),
                        (_, _) => Task.FromResult<IReadOnlyList<SettingOutcome>>([])
                    ),
            ]
        );

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        return (await Create(new CommandConsole(output, error)).InvokeAsync(args, new IpamdOptions()), output.ToString(), error.ToString());
    }
}
