// SPDX-License-Identifier: Apache-2.0
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary><c>ipamd access</c>: the switch for the time of an incident. VPCCNI_CLOUD_ACCESS is the same at a start.</summary>
internal static class AccessCommand
{
    /// <param name="client">Of the daemon.</param>
    /// <param name="level">The level to set; null shows the one in force.</param>
    /// <param name="json">As JSON.</param>
    /// <param name="output">Where to write.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<int> RunAsync(
        DaemonClient client,
        string? level,
        bool json,
        TextWriter output,
        CancellationToken cancellationToken
    )
    {
        if (level is null)
        {
            var status = await client.Node.GetStatusAsync(
                new GetStatusRequest(),
                deadline: client.Deadline,
                cancellationToken: cancellationToken
            );
            await output.WriteAsync(
                json
                    ? JsonText.Object(writer => writer.WriteString("access", status.Cloud.Access))
                    : $"cloud access is {status.Cloud.Access}\n"
            );
            return ExitCodes.Done;
        }

        var reply = await client.Node.SetCloudAccessAsync(
            new SetCloudAccessRequest { Access = level },
            deadline: client.Deadline,
            cancellationToken: cancellationToken
        );
        await output.WriteAsync(
            json
                ? JsonText.Object(writer =>
                {
                    writer.WriteString("access", level);
                    writer.WriteString("previous", reply.Previous);
                })
                : $"cloud access is {level} (was {reply.Previous}) until the daemon restarts\n"
        );
        return ExitCodes.Done;
    }
}
