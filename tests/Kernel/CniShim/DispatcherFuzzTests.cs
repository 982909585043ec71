// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json;
using VpcCni.Netlink;
using VpcCni.Shim;
using VpcCni.Shim.Tests;
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>
/// Runs the whole plugin on random and mutated input, with a fake daemon and a pod namespace. Every call exits with 0, or with 1 and
/// exactly one error object with a documented code other than that of a defect. After a DEL of every container the host and the daemon are
/// as before. A failure prints the seed; FUZZ_SEED repeats it.
/// </summary>
public sealed class DispatcherFuzzTests
{
    private const int Rounds = 1500;
    private static readonly int[] Codes = [1, 4, 5, 6, 7, 8, 11, 50, 100, 101, 102, 110, 111];
    private static readonly string[] Commands = ["ADD", "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", "add", "X", ""];
    private static readonly string[] Versions = ["1.1.0", "1.0.0", "0.4.0", "0.3.1", "0.1.0", "9.9.9", ""];
    private static readonly string[] Values =
    [
        "",
        " ",
        "eth0",
        "lo",
        ".",
        "..",
        "a/b",
        "a:b",
        "%d",
        "é",
        "\0",
        "0123456789abcde",
        "0123456789abcdef",
        new('x', 300),
        "-",
        "c1",
        "c2;c3",
        "K=V;",
        "=;=",
        "/proc/thread-self/ns/net",
        "/proc/thread-self/ns/mnt",
        "/",
        "/dev/null",
        "relative",
    ];

    [Fact]
    public async Task Plugin_answers_any_input_and_leaves_nothing()
    {
        await using var lab = await ShimLab.StartAsync();
        var pod = lab.CreateNamespace("pod");
        var seed = int.TryParse(Environment.GetEnvironmentVariable("FUZZ_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"FUZZ_SEED={seed}");
        var random = new Random(seed);
        JsonElement? result = null;
        var good = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var run = Next(lab, pod, random, result);
            var input = $"round {round} of FUZZ_SEED={seed}: {run.Config}";
            run.RunIn(lab.Host);
            AssertAnswer(run, input);
            if (run.ExitCode == 0)
                good++;
            if (run.ExitCode == 0 && run.Stdout.Contains("\"ips\"", StringComparison.Ordinal))
                result = run.Answer.Clone();
        }

        Assert.True(good > 10, $"only {good} of {Rounds} inputs were valid: the test covers only rejections (FUZZ_SEED={seed})");
        foreach (var key in lab.Ipamd.State.Attachments.Keys)
        {
            var parts = key.Split('/');
            var del = lab.Plugin("DEL", pod.Path!, parts[1]).Set("CNI_IFNAME", parts[2]);
            del.Config = del.Config.Replace("aws-cni", parts[0], StringComparison.Ordinal);
            del.RunIn(lab.Host);
        }

        Assert.Empty(lab.Ipamd.State.Attachments);
        Assert.Equal(lab.Empty, lab.Snapshot());
    }

    private static void AssertAnswer(PluginRun run, string input)
    {
        Assert.True(run.ExitCode is 0 or 1, $"{input}: exit code {run.ExitCode}");
        if (run.ExitCode == 0)
            return;
        var answer = JsonDocument.Parse(run.Stdout).RootElement;
        Assert.True(
            answer.TryGetProperty("cniVersion", out _) && answer.GetProperty("msg").GetString()!.Length > 0,
            $"{input}: {run.Stdout}"
        );
        Assert.True(Codes.Contains(run.Code), $"{input}: {run.Stdout}");
    }

    /// <summary>Most of the input is valid, so that the mutated part gets far.</summary>
    private static PluginRun Next(ShimLab lab, NetworkNamespace pod, Random random, JsonElement? result)
    {
        var previous =
            result is { } known && random.Next(2) == 0
                ? $",\"prevResult\":{(random.Next(3) == 0 ? Mutate(random, known.GetRawText()) : known.GetRawText())}"
                : "";
        var garbage = random.Next(4) == 0 ? ",\"cni.dev/valid-attachments\":[{\"containerID\":\"c1\",\"ifname\":\"eth0\"}]" : "";
        // No server listens on sockets of mutated input, so the plugin must not wait for one.
        var run = lab.Plugin(
            Pick(random, Commands),
            pod.Path!,
            version: Pick(random, Versions),
            more: "\"ipamdWaitSeconds\":0" + previous + garbage
        );
        if (random.Next(3) == 0)
            run.Config = Mutate(random, run.Config);
        foreach (var variable in (string[])["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"])
        {
            if (random.Next(8) != 0)
                continue;
            var value = Pick(random, Values);
            // A DEL has the arguments of its ADD. With the name of another pod it identifies nothing, and rightly keeps the link.
            if (variable == "CNI_ARGS" && PodArguments.TryParse(value, out _) is null)
                value = "=;=";
            run.Set(variable, value);
        }

        return run;
    }

    private static string Mutate(Random random, string text)
    {
        switch (random.Next(6))
        {
            case 0:
                return text[..random.Next(text.Length)];
            case 1:
                return text.Insert(random.Next(text.Length), Pick(random, Values));
            case 2:
                return text.Replace(
                    Pick(random, ["\"", "{", "}", "[", ":", ",", "1", "0"]),
                    Pick(random, ["", "\"", "null", "{}", "[]", "-1", "1e99", "\\ud800"]),
                    StringComparison.Ordinal
                );
            case 3:
                return new string('[', random.Next(1, 200)) + text;
            default:
                var bytes = Encoding.UTF8.GetBytes(text);
                for (var changes = random.Next(1, 8); changes > 0; changes--)
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                return Encoding.Latin1.GetString(bytes);
        }
    }

    private static string Pick(Random random, string[] choices) => choices[random.Next(choices.Length)];
}
