// SPDX-License-Identifier: Apache-2.0
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// Implements <c>ipamd access</c>, which limits the calls of the cloud during an incident. VPCCNI_CLOUD_ACCESS sets the initial level.
/// </summary>
internal static class AccessCommand
{
    /// <param name="client">Client of the daemon.</param>
    /// <param name="level">Level to set; null shows the current one.</param>
    /// <param name="json">Whether to print JSON.</param>
    /// <param name="output">Writer of the result.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
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
