// SPDX-License-Identifier: Apache-2.0
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd access</c>: the switch for the time of an incident. VPCCNI_CLOUD_ACCESS is the same at a start.</summary>
internal static class AccessCommand
{
    public static async Task<int> SetAsync(DaemonClient client, string level, TextWriter output, CancellationToken cancellationToken)
    {
        var reply = await client.Node.SetCloudAccessAsync(new SetCloudAccessRequest { Access = level }, deadline: client.Deadline, cancellationToken: cancellationToken);
        await output.WriteLineAsync($"cloud access is {level} (was {reply.Previous}) until the daemon restarts");
        return 0;
    }
}
