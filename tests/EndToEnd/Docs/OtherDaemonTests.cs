// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using VpcCni.Chart.Tests;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.EndToEnd.Tests.Docs;

/// <summary>
/// Runs the commands of docs/compatibility.md with which another VPC CNI runs on the lab (<c>sh machine</c>), in one shell. Our daemon and
/// plugin stand in for it: they have the same default paths and get none of our variables.
/// </summary>
public sealed class OtherDaemonTests
{
    public const string Page = "docs/compatibility.md";
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(120);

    /// <summary>Mount points that the page creates on the machine, innermost first.</summary>
    private static readonly string[] MountPoints =
    [
        "/var/run/aws-node",
        "/var/run/secrets/kubernetes.io/serviceaccount",
        "/var/run/secrets/kubernetes.io",
        "/var/run/secrets",
    ];

    [Fact]
    public void Other_daemon_and_plugin_serve_a_pod_on_the_lab()
    {
        Requirement.NeedRoot();
        foreach (var program in (string[])["nft", "unshare", "nsenter", "ip", "ping"])
            Requirement.NeedProgram(program);
        var blocks = Documentation.Blocks.Where(block => block.Page == Page && block.Info == "sh machine").ToList();
        Assert.NotEmpty(blocks);
        var lab = $"d{Environment.ProcessId}";
        var folder = Directory.CreateTempSubdirectory("other-daemon-");
        var missing = MountPoints.Where(path => !Directory.Exists(path)).ToList();
        try
        {
            var outcome = Run(folder, lab, string.Join('\n', blocks.Select(block => block.Text)));
            TestContext.Current.TestOutputHelper?.WriteLine(outcome.Output + outcome.Errors);
            Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Errors);
            Assert.Contains("\"ips\":[{\"interface\":1,\"address\":\"10.0.", outcome.Output, StringComparison.Ordinal);
            // The NAT table is created shortly after the socket, so the first packets may be lost.
            Assert.Contains(" packets transmitted, 1 received", outcome.Output, StringComparison.Ordinal);
            Assert.Matches("AssignPrivateIpAddresses +OK", outcome.Output);
            Assert.Empty(Directory.EnumerateFiles("/run/netns", $"*{lab}-*"));
        }
        finally
        {
            // No-op after a success: the last block of the page cleans up.
            Run(folder, lab, "vpc-lab down --name \"$LAB\"; [ ! -e \"/run/netns/$LAB-pod\" ] || ip netns delete \"$LAB-pod\"");
            foreach (var path in missing.Where(Directory.Exists))
                Directory.Delete(path);
            folder.Delete(recursive: true);
        }
    }

    private static RenderOutcome Run(DirectoryInfo folder, string lab, string script)
    {
        // The lab built with this test, under the name of <c>make build</c>.
        var program = Path.Combine(folder.FullName, "vpc-lab");
        File.WriteAllText(program, $"#!/bin/sh\nexec dotnet {Path.Combine(AppContext.BaseDirectory, "vpc-lab.dll")} \"$@\"\n");
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var start = new ProcessStartInfo("bash", ["-euo", "pipefail", "-c", script]);
        start.Environment["PATH"] = $"{folder.FullName}:{Environment.GetEnvironmentVariable("PATH")}";
        (start.Environment["LAB"], start.Environment["PLUGIN"]) = (lab, Binaries.Plugin);
        start.Environment["DAEMON"] = $"{Binaries.Ipamd} run";
        return HelmRenderer.Run(start, Deadline);
    }
}
