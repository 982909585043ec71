// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using VpcCni.Chart.Tests;
using VpcCni.EndToEnd.Tests.Daemon;
using VpcCni.Lab.Hosting;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Docs;

/// <summary>
/// Checks every command of the documentation. <c>sh lab</c> blocks run on a node of a lab with pods and must succeed. <c>sh cluster</c>
/// blocks need a cluster or an account: the programs parse each line as far as they can without one, and commands for a pod run in the lab.
/// <c>sh machine</c> blocks run where a lab is started (OtherDaemonTests). No other block may be called sh.
/// </summary>
public sealed partial class DocumentedCommandTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    /// <summary>Commands that cannot be checked here; tests/Chart/ContainerfileTests checks the Containerfile.</summary>
    private static readonly string[] Unchecked =
    [
        "podman build --tag registry.example/vpc-cni:0.1.0 .",
        "podman build --tag registry.example/vpc-cni:0.1.0 --build-arg CNI_PLUGINS_URL=https://mirror.example/cni-plugins .",
        "podman push registry.example/vpc-cni:0.1.0",
    ];

    [Fact]
    public void Command_block_states_where_it_runs()
    {
        Assert.NotEmpty(Documentation.Blocks);
        Assert.All(
            Documentation.Blocks,
            block =>
                Assert.True(
                    block.Info is "sh lab" or "sh machine" or "sh cluster" or "sh make" or "json" or "yaml" or "text",
                    $"{block}: a block is 'sh lab', 'sh machine', 'sh cluster', 'sh make', json, yaml or text, not '{block.Info}'"
                )
        );
        Assert.All(
            Documentation.Blocks.Where(block => block.Info == "sh machine"),
            block => Assert.Equal(OtherDaemonTests.Page, block.Page)
        );
    }

    /// <summary>Runs all pages on one lab, in order; blocks that stop what others need run last.</summary>
    [Fact]
    public async Task Commands_for_a_node_succeed()
    {
        var blocks = Documentation
            .Blocks.Where(block => block.Info == "sh lab")
            .OrderBy(block => block.Text.Contains("uninstall", StringComparison.Ordinal))
            .ToList();
        Assert.NotEmpty(blocks);
        await using var node = await NodeLab.StartAsync(change: options => options with { Nodes = [1] });
        // The tenth pod is on a second interface, to whose route table the pages refer.
        for (var pod = 0; pod < 10; pod++)
            await node.AddAsync($"web-{pod}");
        var script = Path.Combine(node.TheNode.Paths.Folder, "environment.sh");
        await File.WriteAllTextAsync(script, Environment(node), TestContext.Current.CancellationToken);
        List<string> failures = [];
        foreach (var block in blocks)
        {
            var outcome = await node.Lab.ExecAsync(
                NodeLab.Node,
                ["bash", "-euo", "pipefail", "-c", $". {script}\n{block.Text}"],
                Deadline,
                TestContext.Current.CancellationToken
            );
            TestContext.Current.TestOutputHelper?.WriteLine($"{block}: exit code {outcome.ExitCode}\n{outcome.Output}{outcome.Errors}");
            if (outcome.ExitCode != 0)
                failures.Add($"{block}: exit code {outcome.ExitCode}: {outcome.Output}{outcome.Errors}");
        }

        Assert.Empty(failures);
    }

    [Fact]
    public void Commands_for_a_cluster_are_accepted_by_their_programs()
    {
        var commands = Documentation
            .Blocks.Where(block => block.Info == "sh cluster")
            .SelectMany(block => block.Commands.Select(command => (block, command)))
            .ToList();
        Assert.NotEmpty(commands);
        foreach (var (block, command) in commands)
        {
            if (Unchecked.Contains(command))
                continue;
            var words = Words(command);
            var problem = words[0] switch
            {
                "kubectl" => CheckKubectl(words),
                "aws" => CheckAws(words),
                "helm" => CheckHelm(words),
                _ => "no check for this program",
            };
            Assert.True(problem is null, $"{block}: {command}: {problem}");
        }

        Assert.All(Unchecked, command => Assert.Contains(command, commands.Select(item => item.command)));
    }

    /// <summary>The checks reject invalid commands.</summary>
    [Theory]
    [InlineData("kubectl --namespace kube-system rolout status daemonset/aws-node")]
    [InlineData("kubectl --namespace kube-system rollout status daemonset/aws-node --timout 5s")]
    [InlineData("aws eks delete-addon --cluster-name a --addon vpc-cni --keep")]
    [InlineData("helm install x ./helm/vpc-cni --set image.overide=y")]
    [InlineData("helm install x ./helm/vpc-cni --set cleanup.enabled=true")]
    [InlineData("helm instal x ./helm/vpc-cni --set image.override=y")]
    [InlineData("helm install x ./helm/other --set image.override=y")]
    public void Invalid_command_is_detected(string command)
    {
        var words = Words(command);
        Assert.NotNull(
            words[0] switch
            {
                "kubectl" => CheckKubectl(words),
                "aws" => CheckAws(words),
                _ => CheckHelm(words),
            }
        );
    }

    [Fact]
    public void Page_is_listed_in_the_index()
    {
        var index = File.ReadAllText(Path.Combine(HelmRenderer.Repository, "docs", "README.md"));
        var pages = Directory.EnumerateFiles(Path.Combine(HelmRenderer.Repository, "docs"), "*.md").Select(path => Path.GetFileName(path));
        Assert.All(pages.Where(page => page != "README.md"), page => Assert.Contains($"]({page})", index, StringComparison.Ordinal));
    }

    [Fact]
    public void Make_target_of_a_page_exists()
    {
        var makefile = File.ReadAllText(Path.Combine(HelmRenderer.Repository, "Makefile"));
        var commands = Documentation.Blocks.Where(block => block.Info == "sh make").SelectMany(block => block.Commands).ToList();
        Assert.NotEmpty(commands);
        Assert.All(commands, command => Assert.Matches($"(?m)^{Regex.Escape(Words(command)[1])}:", makefile));
    }

    [Fact]
    public void Values_and_JSON_of_the_pages_are_valid()
    {
        foreach (var block in Documentation.Blocks.Where(block => block.Info is "yaml" or "json"))
        {
            if (block.Info == "yaml")
                Assert.NotEmpty(HelmRenderer.Render(block.Text).Objects);
            else
                JsonDocument.Parse(block.Text).Dispose();
        }
    }

    /// <summary>The first column of the tables has the texts of messages, with dots in place of values.</summary>
    [Fact]
    public void Message_quoted_in_the_troubleshooting_page_is_in_the_sources()
    {
        var sources = string.Join(
            '\n',
            ((string[])["ipamd", "cni-shim"])
                .SelectMany(folder =>
                    Directory
                        .EnumerateFiles(Path.Combine(HelmRenderer.Repository, folder), "*.cs", SearchOption.AllDirectories)
                        .Where(path => !path.Contains("/obj/", StringComparison.Ordinal))
                )
                .Select(File.ReadAllText)
        );
        // Joins the literals of a message that spans several lines.
        sources = SplitLiteral().Replace(sources, "");
        var quoted = MessageRows(File.ReadAllLines(Path.Combine(HelmRenderer.Repository, "docs", "troubleshooting.md"))).ToList();
        Assert.True(quoted.Count > 10, $"{quoted.Count} messages");
        // Messages of the runtime and the kernel.
        string[] others = ["failed to find plugin \"portmap\"", "EPERM", "Operation not permitted"];
        Assert.All(quoted.Except(others), text => Assert.Contains(text, sources, StringComparison.Ordinal));
    }

    private static IEnumerable<string> MessageRows(string[] lines)
    {
        var inTable = false;
        foreach (var line in lines)
        {
            inTable =
                line.StartsWith("| in the message |", StringComparison.Ordinal)
                || line.StartsWith("| log or status |", StringComparison.Ordinal)
                || (inTable && line.StartsWith('|'));
            if (!inTable)
                continue;
            foreach (Match code in Code().Matches(line.Split('|')[1]))
            {
                foreach (
                    var part in code.Groups["text"]
                        .Value.Split("...", StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                )
                    yield return part;
            }
        }
    }

    /// <summary>
    /// kubectl parses its subcommand and flags before it prints help, without a cluster. A command for a pod runs our program, which must
    /// accept its arguments.
    /// </summary>
    private static string? CheckKubectl(string[] words)
    {
        Requirement.NeedProgram("kubectl");
        var end = Array.IndexOf(words, "--");
        var outcome = Run("kubectl", [.. end < 0 ? words[1..] : words[1..end], "--help"]);
        if (outcome.ExitCode != 0)
            return outcome.Errors;
        // For an unknown subcommand, kubectl prints the help of its parent.
        if (outcome.Output.Contains("Available Commands:", StringComparison.Ordinal))
            return "kubectl has no such command";
        return end < 0 || (words[end + 1] == "/app/ipamd" && Run(Binaries.Ipamd, [.. words[(end + 2)..], "--help"]).ExitCode == 0)
            ? null
            : "the program in the pod rejects its arguments";
    }

    /// <summary>The AWS CLI parses its arguments before it prints the skeleton of the output, without an account.</summary>
    private static string? CheckAws(string[] words)
    {
        Requirement.NeedProgram("aws");
        var outcome = Run("aws", [.. words[1..], "--region", "us-west-2", "--generate-cli-skeleton", "output"]);
        return outcome.ExitCode == 0 ? null : outcome.Errors;
    }

    /// <summary>helm is not installed: command and flags are compared with a list, and the chart is rendered with the values.</summary>
    private static string? CheckHelm(string[] words)
    {
        if (words[1] is not ("install" or "upgrade" or "uninstall"))
            return $"unknown command {words[1]}";
        List<string> values = [];
        for (var index = words[1] == "uninstall" ? 3 : 4; index < words.Length; index++)
        {
            switch (words[index])
            {
                case "--namespace":
                    index++;
                    break;
                case "--set" when words[1] != "uninstall":
                    values.Add(Yaml(words[++index]));
                    break;
                case "--skip-crds" when words[1] == "install":
                    break;
                // A values file of the reader; any file that is valid for the chart will do.
                case "--values" when words[1] != "uninstall":
                    values.Add(File.ReadAllText(HelmRenderer.ValuesFile("of-aws-vpc-cni.yaml")));
                    index++;
                    break;
                case "--reuse-values" when words[1] == "upgrade":
                    values.Add(HelmRenderer.WithImage);
                    break;
                default:
                    return $"unknown argument {words[index]}";
            }
        }

        if (words[1] == "uninstall")
            return null;
        if (words[3] != "./helm/vpc-cni")
            return $"there is no chart {words[3]}";
        var outcome = HelmRenderer.TryRender([], [.. values]);
        return outcome.ExitCode == 0 ? null : outcome.Errors;
    }

    /// <summary>Converts <c>a.b=c</c> or <c>a.b={c,d}</c> to YAML.</summary>
    private static string Yaml(string set)
    {
        var parts = set.Split('=', 2);
        var value =
            parts[1].StartsWith('{') ? $"[{parts[1].Trim('{', '}')}]"
            : parts[1] is "true" or "false" ? parts[1]
            : $"\"{parts[1]}\"";
        return parts[0].Split('.').Reverse().Aggregate(value, (inner, name) => $"{{{name}: {inner}}}");
    }

    /// <summary>Splits a command at spaces, except in double quotes.</summary>
    private static string[] Words(string command) => [.. Word().Matches(command.Split(" # ")[0]).Select(match => match.Value.Trim('"'))];

    private static RenderOutcome Run(string program, string[] arguments) =>
        HelmRenderer.Run(new ProcessStartInfo(program, arguments), Deadline);

    /// <summary>
    /// Returns the environment of a login on the node: our programs in PATH, and the node's files in place of those under /var, /opt and
    /// /etc.
    /// </summary>
    private static string Environment(NodeLab node)
    {
        var paths = node.TheNode.Paths;
        return $"""
            export PATH={Path.GetDirectoryName(Binaries.Ipamd)}:$PATH PLUGIN={Binaries.Plugin}
            export VPCCNI_SOCKET_PATH={paths.IpamdSocket} AWS_VPC_K8S_CNI_BACKING_STORE={paths.Checkpoint} HOST_CNI_BIN_PATH={paths.CniBin} HOST_CNI_CONFDIR_PATH={paths.CniConf} AWS_REGION=us-west-2 AWS_EC2_ENDPOINT={VpcLab.Ec2Endpoint} INTROSPECTION=127.0.0.1:61679
            """;
    }

    [GeneratedRegex("\"[^\"]*\"|[^ \"]+(\"[^\"]*\")?", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Word();

    [GeneratedRegex("\"\\s*\\n\\s*\\+ \\$?\"", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SplitLiteral();

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();
}
