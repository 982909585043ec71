// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Planning;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

/// <summary>Event reasons are for programs, whose authors find them in the documentation.</summary>
public sealed class DocumentedReasonsTests
{
    [Theory]
    [InlineData("docs/troubleshooting.md")]
    [InlineData("ipamd/Kubernetes/README.md")]
    public void Every_reason_is_documented(string page)
    {
        var text = File.ReadAllText(Path.Combine(Root(), page));
        string[] reasons =
        [
            .. Enum.GetValues<GrowthObstacleKind>().Select(EventReasons.ReasonOf),
            EventReasons.InsufficientAddresses,
            EventReasons.AddressLost,
            EventReasons.CheckpointNotWritten,
            EventReasons.DaemonStarting,
            EventReasons.PodNetworkReady,
            EventReasons.PodNetworkDegraded,
            EventReasons.PodNetworkNotReady,
        ];
        Assert.All(reasons, reason => Assert.Contains($"`{reason}`", text, StringComparison.Ordinal));
    }

    private static string Root([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
}
