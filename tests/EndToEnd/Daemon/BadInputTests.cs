// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Daemon;

/// <summary>
/// The binaries with faulty calls of a runtime, and with pods and plugins that end during a call: each gets a clear error, and nothing is
/// left behind.
/// </summary>
public sealed class BadInputTests
{
    [Fact]
    public async Task Repeated_ADD_with_another_namespace_is_rejected_and_the_pod_keeps_working()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var (first, second) = (plugin.CreateNamespace("first"), plugin.CreateNamespace("second"));
        var pod = await plugin.RunAsync("ADD", first);
        Assert.True(await plugin.AnswersAsync(pod.Address));
        var before = await node.PodNetworkAsync();

        var again = await plugin.RunAsync("ADD", second);

        Assert.Equal(101, again.Code);
        Assert.Contains(first, again.Message, StringComparison.Ordinal);
        Assert.Equal(before, await node.PodNetworkAsync());
        Assert.Equal(1, await node.AssignedAsync());
        Assert.True(await plugin.AnswersAsync(pod.Address));

        Assert.Equal(0, (await plugin.RunAsync("DEL", second)).Code);
        await AssertNothingLeftAsync(node);
    }

    [Fact]
    public async Task Concurrent_ADDs_of_one_container_to_two_namespaces_make_one_pod()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        for (var round = 0; round < 5; round++)
        {
            string[] paths = [plugin.CreateNamespace($"a{round}"), plugin.CreateNamespace($"b{round}")];

            var answers = await Task.WhenAll(paths.Select(path => plugin.RunAsync("ADD", path)));

            Assert.Equal([0, 101], answers.Select(answer => answer.Code).Order());
            Assert.True(await plugin.AnswersAsync(answers.Single(answer => answer.Code == 0).Address));
            Assert.Equal(1, await node.AssignedAsync());
            Assert.Equal(0, (await plugin.RunAsync("DEL", paths[round % 2])).Code);
            await AssertNothingLeftAsync(node);
        }
    }

    [Fact]
    public async Task ADD_after_the_earlier_namespace_was_removed_gives_a_working_network()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var earlier = plugin.CreateNamespace("earlier");
        await plugin.RunAsync("ADD", earlier);
        RawPlugin.DeleteNamespace(earlier);

        var again = await plugin.RunAsync("ADD", plugin.CreateNamespace("again"));

        Assert.True(await plugin.AnswersAsync(again.Address));
        Assert.Equal(1, await node.AssignedAsync());
        Assert.Equal(0, (await plugin.RunAsync("DEL", "", previous: again.Result)).Code);
        await AssertNothingLeftAsync(node);
    }

    [Fact]
    public async Task Names_of_maximum_length_work()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var netns = plugin.CreateNamespace("longest");
        var container = new string('c', 1024);
        var pod = new string('p', 253);
        void Environment(IDictionary<string, string?> environment)
        {
            environment["CNI_IFNAME"] = "fifteen-letters";
            environment["CNI_ARGS"] = $"K8S_POD_NAMESPACE={new string('n', 63)};K8S_POD_NAME={pod}";
        }

        void Configuration(JsonObject configuration)
        {
            configuration["name"] = new string('w', 1024);
            configuration["vethPrefix"] = "four";
        }

        var added = await plugin.RunAsync("ADD", netns, container, environment: Environment, configuration: Configuration);

        Assert.Equal("fifteen-letters", (string?)added.Result["interfaces"]![1]!["name"]);
        Assert.Equal(15, ((string)added.Result["interfaces"]![0]!["name"]!).Length);
        Assert.True(await plugin.AnswersAsync(added.Address));
        Assert.Equal(
            0,
            (
                await plugin.RunAsync(
                    "CHECK",
                    netns,
                    container,
                    environment: Environment,
                    configuration: Configuration,
                    previous: added.Result
                )
            ).Code
        );
        await node.Lab.RestartIpamdAsync(NodeLab.Node, TestContext.Current.CancellationToken);
        Assert.Equal(1, await node.AssignedAsync());
        Assert.Equal(0, (await plugin.RunAsync("DEL", netns, container, environment: Environment, configuration: Configuration)).Code);
        await AssertNothingLeftAsync(node);
    }

    [Fact]
    public async Task Names_over_the_limits_are_rejected_without_a_call()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var netns = plugin.CreateNamespace("pod");
        (string Variable, string Value, int Code)[] cases =
        [
            ("CNI_IFNAME", "sixteen-letters-", 4),
            ("CNI_IFNAME", "..", 4),
            ("CNI_IFNAME", "a/b", 4),
            ("CNI_IFNAME", "naïve", 4),
            ("CNI_CONTAINERID", new string('c', 1025), 4),
            ("CNI_CONTAINERID", "../../etc/passwd", 4),
            ("CNI_CONTAINERID", "-c", 4),
            ("CNI_ARGS", $"K8S_POD_NAME={new string('p', 1025)}", 4),
            ("CNI_ARGS", "banana", 4),
            ("CNI_NETNS", "run/netns/x", 4),
            ("CNI_NETNS", "/run/netns/nobody", 4),
            ("vethPrefix", "fiver", 7),
            ("vethPrefix", "eth", 7),
            ("name", new string('w', 1025), 7),
            ("name", "a b", 7),
            ("mtu", "9002", 7),
        ];
        foreach (var (variable, value, code) in cases)
        {
            var isEnvironment = variable.StartsWith("CNI_", StringComparison.Ordinal);
            var answer = await plugin.RunAsync(
                "ADD",
                netns,
                environment: environment =>
                    environment[variable] =
                        isEnvironment ? value
                        : environment.TryGetValue(variable, out var same) ? same
                        : null,
                configuration: configuration => configuration[variable] = isEnvironment ? configuration[variable]?.DeepClone() : value
            );
            Assert.True(answer.Code == code, $"{variable}: {answer.Output}");
            Assert.Contains(variable, answer.Message, StringComparison.Ordinal);
            Assert.True(answer.Output.Length < 1000, "the error quotes its input within bounds");
        }

        await AssertNothingLeftAsync(node);
    }

    [Theory]
    [InlineData("killed")]
    [InlineData("namespace removed")]
    public async Task ADD_interrupted_at_any_point_leaves_nothing_after_its_DEL(string how)
    {
        // Adds more pods in sequence than the node has addresses.
        await using var node = await NodeLab.StartAsync(new() { ["IP_COOLDOWN_PERIOD"] = "0" });
        var plugin = new RawPlugin(node);
        var (cut, whole) = (0, 0);
        for (var round = 0; round < 40; round++)
        {
            var (container, netns) = ($"c{round}", plugin.CreateNamespace($"p{round}"));
            var answer = await plugin.AddAsync(
                netns,
                container,
                TimeSpan.FromMilliseconds(0.4 * round),
                process =>
                {
                    if (how == "killed")
                        process.Kill();
                    else
                        RawPlugin.DeleteNamespace(netns);
                }
            );
            if (answer is { ExitCode: 0 })
                whole++;
            else
                cut++;
            // A removed namespace is either detected, or the ADD was complete before.
            if (how != "killed")
                Assert.Contains(answer!.Code, new[] { 0, 4, 100 });
            Assert.Equal(0, (await plugin.RunAsync("DEL", netns, container)).Code);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{cut} interrupted, {whole} complete");
        Assert.True(cut > 0);
        await AssertNothingLeftAsync(node);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Link_that_a_crash_left_under_the_pods_name_is_replaced(bool withDelOfTheOld)
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var (old, pod) = (plugin.CreateNamespace("old"), plugin.CreateNamespace("new"));
        var before = await plugin.RunAsync("ADD", old, "crashed", pod: "same");

        var added = await plugin.RunAsync("ADD", pod, "c2", pod: "same");

        Assert.Equal((string?)before.Result["interfaces"]![0]!["name"], (string?)added.Result["interfaces"]![0]!["name"]);
        Assert.True(await plugin.AnswersAsync(added.Address));
        if (withDelOfTheOld)
        {
            Assert.Equal(0, (await plugin.RunAsync("DEL", old, "crashed", pod: "same", previous: before.Result)).Code);
            Assert.True(await plugin.AnswersAsync(added.Address));
        }

        Assert.Equal(0, (await plugin.RunAsync("DEL", pod, "c2", pod: "same", previous: added.Result)).Code);
        if (!withDelOfTheOld)
            Assert.Equal(0, (await plugin.RunAsync("DEL", old, "crashed", pod: "same", previous: before.Result)).Code);
        await AssertNothingLeftAsync(node);
    }

    [Fact]
    public async Task DEL_before_ADD_repeated_and_without_namespace_affects_no_other_pod()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var (netns, other) = (plugin.CreateNamespace("pod"), plugin.CreateNamespace("other"));
        var bystander = await plugin.RunAsync("ADD", other, "bystander");
        var before = await node.PodNetworkAsync();
        async Task DeleteAsync(string path, JsonObject? previous = null)
        {
            var answer = await plugin.RunAsync("DEL", path, previous: previous);
            Assert.Equal((0, ""), (answer.ExitCode, answer.Output));
            await Eventually.TrueAsync(async () => await node.PodNetworkAsync() == before, what: "the node's pods are as before");
        }

        await DeleteAsync(netns);
        await DeleteAsync("");
        await DeleteAsync("/run/netns/nobody");
        var first = await plugin.RunAsync("ADD", netns);
        await DeleteAsync(netns, first.Result);
        await DeleteAsync(netns, first.Result);
        var second = await plugin.RunAsync("ADD", netns);
        await DeleteAsync("", second.Result);
        await DeleteAsync("", second.Result);
        var third = await plugin.RunAsync("ADD", netns);
        Assert.True(await plugin.AnswersAsync(third.Address));
        await DeleteAsync("");

        Assert.Equal(1, await node.AssignedAsync());
        Assert.True(await plugin.AnswersAsync(bystander.Address));
    }

    [Fact]
    public async Task GC_with_a_malformed_list_is_rejected_and_releases_nothing()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var pod = await plugin.RunAsync("ADD", plugin.CreateNamespace("pod"));
        string?[] lists =
        [
            null,
            "{}",
            "\"c1\"",
            "[null]",
            "[\"c1\"]",
            "[{}]",
            "[{\"containerID\":\"c1\"}]",
            "[{\"containerID\":\"\",\"ifname\":\"eth0\"}]",
            "[{\"containerID\":1,\"ifname\":\"eth0\"}]",
            "[{\"containerID\":\"c1\",\"ifname\":\"eth0\"},{\"containerID\":\"c2\",\"ifname\":null}]",
        ];
        foreach (var list in lists)
        {
            var answer = await plugin.RunAsync(
                "GC",
                "",
                configuration: configuration =>
                {
                    if (list is not null)
                        configuration["cni.dev/valid-attachments"] = JsonNode.Parse(list);
                }
            );

            Assert.True(answer.Code == 7, $"{list}: {answer.Output}");
            Assert.Contains("cni.dev/valid-attachments", answer.Message, StringComparison.Ordinal);
        }

        Assert.Equal(1, await node.AssignedAsync());
        Assert.True(await plugin.AnswersAsync(pod.Address));
    }

    [Fact]
    public async Task Configuration_with_unknown_keys_works()
    {
        await using var node = await NodeLab.StartAsync();
        var plugin = new RawPlugin(node);
        var netns = plugin.CreateNamespace("pod");
        void Configuration(JsonObject configuration)
        {
            configuration["futureText"] = "x";
            configuration["futureNumber"] = 1e300;
            configuration["futureNull"] = null;
            configuration["futureList"] = new JsonArray(1, "two", new JsonObject { ["three"] = false });
            configuration["ipam"] = new JsonObject { ["type"] = "host-local" };
            configuration["dns"] = new JsonObject { ["nameservers"] = new JsonArray("192.0.2.53") };
            configuration["capabilities"] = new JsonObject { ["portMappings"] = true, ["unheardOf"] = true };
            configuration["runtimeConfig"] = new JsonObject
            {
                ["unheardOf"] = new JsonArray(),
                ["io.kubernetes.cri.pod-annotations"] = new JsonObject { ["a"] = "b" },
            };
            configuration["cni.dev/unheard-of"] = true;
        }

        var added = await plugin.RunAsync("ADD", netns, configuration: Configuration);
        Assert.True(await plugin.AnswersAsync(added.Address));
        Assert.Equal(0, (await plugin.RunAsync("CHECK", netns, configuration: Configuration, previous: added.Result)).Code);
        Assert.Equal(0, (await plugin.RunAsync("STATUS", "", configuration: Configuration)).Code);
        Assert.Equal(0, (await plugin.RunAsync("DEL", netns, configuration: Configuration, previous: added.Result)).Code);
        await AssertNothingLeftAsync(node);
    }

    /// <summary>
    /// Asserts that nothing is left on the node and in the daemon. The daemon deletes links in batches, shortly after their DEL.
    /// </summary>
    internal static async Task AssertNothingLeftAsync(NodeLab node)
    {
        var left = "";
        try
        {
            await Eventually.TrueAsync(async () => (left = await node.PodNetworkAsync()) == "");
        }
        catch (TimeoutException)
        {
            Assert.Fail($"left on the node:\n{left}");
        }

        Assert.Equal(0, await node.AssignedAsync());
    }
}
