// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json;
using VpcCni.Netlink;

namespace VpcCni.Shim.Tests;

/// <summary>Runs the plugin in memory with the environment and input of a runtime, and records its output.</summary>
internal sealed class PluginRun
{
    private readonly Dictionary<string, string> _environment = new(StringComparer.Ordinal);

    public PluginRun(string command, string config)
    {
        Config = config;
        Set("CNI_COMMAND", command)
            .Set("CNI_CONTAINERID", "c1")
            .Set("CNI_NETNS", "/var/run/netns/vpccni-none")
            .Set("CNI_IFNAME", "eth0")
            .Set("CNI_PATH", "/opt/cni/bin")
            .Set(
                "CNI_ARGS",
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=sample-pod;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1"
            );
    }

    public string Config { get; set; }
    public string[] Arguments { get; init; } = [];
    public Stream? Stdin { get; set; }
    public string Stdout { get; private set; } = "";
    public string Stderr { get; private set; } = "";
    public int ExitCode { get; private set; } = -1;

    public JsonElement Answer => JsonDocument.Parse(Stdout).RootElement;
    public int Code => Answer.GetProperty("code").GetInt32();
    public string Message => Answer.GetProperty("msg").GetString()!;

    public PluginRun Set(string variable, string? value)
    {
        if (value is null)
            _environment.Remove(variable);
        else
            _environment[variable] = value;
        return this;
    }

    public PluginRun Run()
    {
        using var stdout = new MemoryStream();
        using var stderr = new MemoryStream();
        using var stdin = Stdin ?? new MemoryStream(Encoding.UTF8.GetBytes(Config));
        ExitCode = new Dispatcher(
            new PluginHost
            {
                Arguments = Arguments,
                Environment = name => _environment.GetValueOrDefault(name),
                Stdin = stdin,
                Stdout = stdout,
                Stderr = stderr,
                Random = new Random(),
            }
        ).Run();
        Stdout = Encoding.UTF8.GetString(stdout.ToArray());
        Stderr = Encoding.UTF8.GetString(stderr.ToArray());
        return this;
    }

    /// <summary>Runs the plugin in another network namespace, which is the host for it.</summary>
    public PluginRun RunIn(NetworkNamespace host) => host.Run(Run);

    public static string Conf(string version = "1.1.0", string more = "") =>
        $$"""{"cniVersion":"{{version}}","name":"aws-cni","type":"vpc-cni"{{(more.Length > 0 ? "," + more : "")}}}""";
}
