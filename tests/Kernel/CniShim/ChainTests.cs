// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>
/// Chains of this plugin and the reference plugins (Debian package containernetworking-plugins): they must find what they need in its
/// result, and DEL must still remove everything.
/// </summary>
public sealed class ChainTests
{
    private static readonly IPAddress Pod = IPAddress.Parse("10.250.0.10");

    [Theory]
    [InlineData("0.3.1")]
    [InlineData("0.4.0")]
    [InlineData("1.0.0")]
    public async Task Portmap_forwards_a_host_port_to_the_pod_until_Del(string version)
    {
        Requirement.NeedProgram("iptables");
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        var result = JsonNode.Parse(lab.Add(pod, version: version).GetRawText())!;
        var portmap = new Chained(
            "portmap",
            version,
            """{"snat":true,"runtimeConfig":{"portMappings":[{"hostPort":18080,"containerPort":8080,"protocol":"tcp"}]}}"""
        );

        var passed = portmap.Run(lab, pod, "ADD", result);
        Assert.Equal(result.ToJsonString(), passed!.ToJsonString());
        await EchoAsync(pod, port: 8080, from: lab.Host, to: new IPEndPoint(ShimLab.HostAddress, 18080));

        portmap.Run(lab, pod, "DEL", result);
        lab.AssertDeleted(lab.Plugin("DEL", pod.Path!, version: version, more: $"\"prevResult\":{passed.ToJsonString()}").RunIn(lab.Host));
    }

    [Fact]
    public async Task Bandwidth_finds_the_host_end_of_the_veth()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        var result = JsonNode.Parse(lab.Add(pod, version: "1.0.0").GetRawText())!;
        var bandwidth = new Chained(
            "bandwidth",
            "1.0.0",
            """{"runtimeConfig":{"bandwidth":{"ingressRate":8000000,"ingressBurst":8000000,"egressRate":8000000,"egressBurst":8000000}}}"""
        );

        var passed = bandwidth.Run(lab, pod, "ADD", result)!;
        var veth = Assert.Single(lab.HostNetlink.GetLinks(), link => link.Kind == "veth");
        Assert.Contains("tbf", Tool(lab, "tc", "qdisc", "show", "dev", veth.Name), StringComparison.Ordinal);
        Assert.Contains(lab.HostNetlink.GetLinks(), link => link.Kind == "ifb");
        await ShimLab.ConnectAsync(lab.Host, pod, Pod);

        bandwidth.Run(lab, pod, "DEL", result);
        lab.AssertDeleted(lab.Plugin("DEL", pod.Path!, version: "1.0.0", more: $"\"prevResult\":{passed.ToJsonString()}").RunIn(lab.Host));
    }

    [Fact]
    public async Task Tuning_sets_sysctls_that_Check_tolerates()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        var result = JsonNode.Parse(lab.Add(pod, version: "1.0.0").GetRawText())!;
        var tuning = new Chained("tuning", "1.0.0", """{"sysctl":{"net.ipv6.conf.all.disable_ipv6":"1"},"mtu":1400}""");

        var passed = tuning.Run(lab, pod, "ADD", result)!;
        Assert.Equal("1", pod.Run(() => File.ReadAllText("/proc/sys/net/ipv6/conf/all/disable_ipv6").Trim()));
        using (var inside = pod.OpenRouteNetlink())
            Assert.Equal(1400, inside.FindLink("eth0")!.Mtu);
        Assert.Equal(
            0,
            lab.Plugin("CHECK", pod.Path!, version: "1.0.0", more: $"\"prevResult\":{passed.ToJsonString()}").RunIn(lab.Host).ExitCode
        );

        tuning.Run(lab, pod, "DEL", result);
        lab.AssertDeleted(lab.Plugin("DEL", pod.Path!, version: "1.0.0", more: $"\"prevResult\":{passed.ToJsonString()}").RunIn(lab.Host));
    }

    /// <summary>Sends one byte to the listener, which echoes it, through whatever is in between.</summary>
    private static async Task EchoAsync(NetworkNamespace pod, int port, NetworkNamespace from, IPEndPoint to)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        using var listener = pod.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Any, port));
        listener.Listen();
        using var client = from.OpenSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var accepting = listener.AcceptAsync(deadline.Token).AsTask();
        await client.ConnectAsync(to, deadline.Token);
        using var served = await accepting;
        await served.SendAsync(new byte[] { 7 }, deadline.Token);
        var buffer = new byte[1];
        Assert.Equal(1, await client.ReceiveAsync(buffer, deadline.Token));
        Assert.Equal(7, buffer[0]);
    }

    private static string Tool(ShimLab lab, string program, params string[] arguments) =>
        Execute(lab, Requirement.NeedProgram(program), arguments, input: "", []).Output;

    private static (int ExitCode, string Output) Execute(
        ShimLab lab,
        string program,
        string[] arguments,
        string input,
        IEnumerable<(string Name, string Value)> environment
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = lab.Host.Run(() => Process.Start(start))!;
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromSeconds(20)) || !output.Wait(TimeSpan.FromSeconds(5)))
        {
            process.Kill();
            Assert.Fail($"{program} did not exit");
        }

        return (process.ExitCode, output.Result);
    }

    /// <summary>A reference plugin chained after this one.</summary>
    private sealed class Chained(string type, string version, string configuration)
    {
        public JsonNode? Run(ShimLab lab, NetworkNamespace pod, string command, JsonNode previous)
        {
            var folder = new[] { "/usr/lib/cni", "/opt/cni/bin" }.FirstOrDefault(candidate => File.Exists(Path.Combine(candidate, type)));
            Requirement.Need(folder is not null, $"the CNI plugin {type} (containernetworking-plugins)");
            var input = (JsonObject)JsonNode.Parse(configuration)!;
            (input["cniVersion"], input["name"], input["type"], input["prevResult"]) = (version, "aws-cni", type, previous.DeepClone());
            var outcome = Execute(
                lab,
                Path.Combine(folder!, type),
                [],
                input.ToJsonString(),
                [
                    ("CNI_COMMAND", command),
                    ("CNI_CONTAINERID", "c1"),
                    ("CNI_NETNS", pod.Path!),
                    ("CNI_IFNAME", "eth0"),
                    ("CNI_PATH", folder!),
                    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
                ]
            );
            Assert.True(outcome.ExitCode == 0, $"{type} {command}: {outcome.Output}");
            return outcome.Output.Length == 0 ? null : JsonNode.Parse(outcome.Output);
        }
    }
}
