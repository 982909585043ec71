// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using VpcCni.Netlink;
using VpcCni.Tests.Shared;

namespace VpcCni.Kernel.Tests.Netlink;

/// <summary>
/// Runs iproute2 in a namespace as an independent reference. The child process inherits the namespace of the thread that starts it.
/// </summary>
internal static class Iproute
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    public static void Need()
    {
        Requirement.NeedRoot();
        Requirement.NeedProgram("ip");
    }

    /// <summary>Runs <c>ip ARGUMENTS</c>; throws if it fails.</summary>
    public static string Ip(this NetworkNamespace ns, string arguments) =>
        Run(ns, "ip", arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>Runs many commands in one process, which stops at the first failure.</summary>
    public static string IpBatch(this NetworkNamespace ns, string options, IEnumerable<string> commands)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllLines(file, commands);
            return ns.Ip($"{options} -batch {file}");
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Runs <c>ip -j ARGUMENTS</c>.</summary>
    public static JsonArray IpJson(this NetworkNamespace ns, string arguments) => Array(ns.Ip("-j " + arguments));

    public static JsonArray Array(string text)
    {
        var json = text.Length == 0 ? [] : JsonNode.Parse(text)!.AsArray();
        // iproute2 prints empty objects for entries that a filter excludes.
        for (int index = json.Count - 1; index >= 0; index--)
        {
            if (json[index] is JsonObject { Count: 0 })
                json.RemoveAt(index);
        }

        return json;
    }

    public static string Run(NetworkNamespace ns, string program, IReadOnlyList<string> arguments) =>
        ns.Run(() =>
        {
            var start = new ProcessStartInfo(program, arguments)
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            if (!process.WaitForExit(Deadline))
            {
                process.Kill();
                throw new TimeoutException($"{program} {string.Join(' ', arguments)}");
            }

            if (process.ExitCode != 0)
                throw new InvalidOperationException(
                    $"{program} {string.Join(' ', arguments)}: exit code {process.ExitCode}: {error.Result}"
                );
            return output.Trim();
        });

    public static int Int(this JsonNode node, string name) => node[name]!.GetValue<int>();

    public static string? Text(this JsonNode node, string name) => node[name]?.GetValue<string>();

    /// <summary>Reads a number that iproute2 prints as text in base 10 or 16.</summary>
    public static uint Hex(this JsonNode node, string name) =>
        node[name] is { } value ? uint.Parse(value.GetValue<string>().AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) : 0;
}
