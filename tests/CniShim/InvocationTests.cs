// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Shim.Tests;

public sealed class InvocationTests
{
    public sealed record Case(string Name, string Command, Dictionary<string, string?> Change, string[] Named)
    {
        public override string ToString() => Name;
    }

    public static TheoryData<Case> Bad =>
        new(
            new Case(
                "ADD with nothing set",
                "ADD",
                new()
                {
                    ["CNI_CONTAINERID"] = null,
                    ["CNI_NETNS"] = null,
                    ["CNI_IFNAME"] = null,
                },
                ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]
            ),
            new Case(
                "ADD with everything empty",
                "ADD",
                new()
                {
                    ["CNI_CONTAINERID"] = "",
                    ["CNI_NETNS"] = "",
                    ["CNI_IFNAME"] = "",
                },
                ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]
            ),
            new Case(
                "ADD with everything malformed",
                "ADD",
                new()
                {
                    ["CNI_CONTAINERID"] = "-x",
                    ["CNI_NETNS"] = "run/netns/a",
                    ["CNI_IFNAME"] = "a/b",
                    ["CNI_ARGS"] = "K8S_POD_NAME",
                },
                ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"]
            ),
            new Case("interface name of 16", "ADD", new() { ["CNI_IFNAME"] = "abcdefghijklmnop" }, ["CNI_IFNAME"]),
            new Case("interface name with a colon", "ADD", new() { ["CNI_IFNAME"] = "eth0:1" }, ["CNI_IFNAME"]),
            new Case("interface name that the kernel would number", "ADD", new() { ["CNI_IFNAME"] = "eth%d" }, ["CNI_IFNAME"]),
            new Case("interface name with a space", "DEL", new() { ["CNI_IFNAME"] = "eth 0" }, ["CNI_IFNAME"]),
            new Case("interface name dot dot", "DEL", new() { ["CNI_IFNAME"] = ".." }, ["CNI_IFNAME"]),
            new Case("container id with a slash", "DEL", new() { ["CNI_CONTAINERID"] = "a/b" }, ["CNI_CONTAINERID"]),
            new Case(
                "DEL without id and name",
                "DEL",
                new() { ["CNI_CONTAINERID"] = null, ["CNI_IFNAME"] = null },
                ["CNI_CONTAINERID", "CNI_IFNAME"]
            ),
            new Case("CHECK without namespace", "CHECK", new() { ["CNI_NETNS"] = null }, ["CNI_NETNS"]),
            new Case("GC without path", "GC", new() { ["CNI_PATH"] = null }, ["CNI_PATH"]),
            new Case("arguments without key", "ADD", new() { ["CNI_ARGS"] = "=x" }, ["CNI_ARGS"])
        );

    [Theory]
    [MemberData(nameof(Bad))]
    public void Invalid_environment_is_code_4_and_names_exactly_the_invalid_variables(Case row)
    {
        var run = new PluginRun(row.Command, PluginRun.Conf());
        foreach (var (variable, value) in row.Change)
            run.Set(variable, value);
        run.Run();

        Assert.Equal(1, run.ExitCode);
        Assert.Equal(4, run.Code);
        string[] all = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"];
        Assert.Equal(row.Named, all.Where(variable => run.Message.Contains(variable + ":", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("add")]
    [InlineData("NOPE")]
    [InlineData(" ADD")]
    public void Unknown_command_is_code_4_with_the_list_of_commands(string command)
    {
        var run = new PluginRun(command, PluginRun.Conf()).Run();

        Assert.Equal((1, 4), (run.ExitCode, run.Code));
        Assert.Contains("CNI_COMMAND", run.Message, StringComparison.Ordinal);
        Assert.Contains("ADD, DEL, CHECK, GC, STATUS, VERSION", run.Message, StringComparison.Ordinal);
        Assert.Equal("1.1.0", run.Answer.GetProperty("cniVersion").GetString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void Missing_command_prints_the_about_text_to_stderr_and_succeeds(string? command)
    {
        var run = new PluginRun("ADD", "").Set("CNI_COMMAND", command).Run();

        Assert.Equal((0, ""), (run.ExitCode, run.Stdout));
        Assert.Contains("CNI plugin", run.Stderr, StringComparison.Ordinal);
        Assert.Contains("0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0", run.Stderr, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("abcdefghijklmno")]
    [InlineData("eth0")]
    [InlineData("a.b-c_d")]
    public void InterfaceName_at_the_limit_is_valid(string name) => Assert.Null(Invocation.InterfaceNameProblem(name));

    [Theory]
    [InlineData("--help")]
    [InlineData("-h")]
    public void Help_is_printed_to_stdout_with_every_key_and_command(string argument)
    {
        var run = new PluginRun("ADD", "") { Arguments = [argument] }.Run();
        Assert.Equal((0, ""), (run.ExitCode, run.Stderr));
        Assert.All(
            [
                "ADD, DEL, CHECK, GC, STATUS, VERSION",
                "0.3.1",
                "1.1.0",
                "/var/run/aws-node/ipamd.sock",
                "ipamdTimeoutSeconds",
                "statusNeedsFreeAddress",
                "CNI_COMMAND=STATUS",
                "{\"cniVersion\"",
            ],
            part => Assert.Contains(part, run.Stdout, StringComparison.Ordinal)
        );
    }

    [Fact]
    public void Version_option_prints_one_line() =>
        Assert.Matches(
            "^vpc-cni [0-9.]+\n$",
            new PluginRun("", "") { Arguments = ["--version"] }
                .Run()
                .Stdout
        );

    [Theory]
    [InlineData("help")]
    [InlineData("add")]
    public void Unknown_argument_is_an_error(string argument)
    {
        var run = new PluginRun("", "") { Arguments = [argument] }.Run();
        Assert.Equal((1, ""), (run.ExitCode, run.Stdout));
        Assert.Contains(argument, run.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public void Del_without_namespace_is_valid()
    {
        var environment = new Dictionary<string, string>
        {
            ["CNI_COMMAND"] = "DEL",
            ["CNI_CONTAINERID"] = "c1",
            ["CNI_IFNAME"] = "eth0",
        };

        var invocation = Invocation.Read(environment.GetValueOrDefault);

        Assert.Equal(new Invocation(CniCommand.Del, "c1", "", "eth0", PodArguments.None, false), invocation);
    }

    [Theory]
    [InlineData("IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=i;K8S_POD_UID=u", "p", "ns", "i", "u")]
    [InlineData("IgnoreUnknown=1;K8S_POD_NAME=container;IP=1.2.3.4", "container", "", "", "")] // podman
    [InlineData("K8S_POD_NAME=a=b;", "a=b", "", "", "")]
    [InlineData("", "", "", "", "")]
    public void Arguments_of_each_runtime_are_parsed(string text, string name, string @namespace, string infra, string uid)
    {
        Assert.Null(PodArguments.TryParse(text, out var arguments));
        Assert.Equal(new PodArguments(name, @namespace, infra, uid), arguments);
    }
}
