// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Grpc.Health.V1;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// Implements <c>ipamd health</c>: the standard health check, for exec probes. Kubelet's own gRPC probes cannot use a Unix socket.
/// </summary>
internal static class HealthCommand
{
    /// <param name="client">Of the daemon.</param>
    /// <param name="service">Empty: the daemon can serve an ADD. <c>liveness</c>: the process answers.</param>
    /// <param name="json">As JSON.</param>
    /// <param name="console">Where to write.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>0: serving; 1: not serving or unknown service.</returns>
    /// <exception cref="RpcException">No answer.</exception>
    public static async Task<int> RunAsync(
        DaemonClient client,
        string service,
        bool json,
        CommandConsole console,
        CancellationToken cancellationToken
    )
    {
        try
        {
            var reply = await client.Health.CheckAsync(
                new HealthCheckRequest { Service = service },
                deadline: client.Deadline,
                cancellationToken: cancellationToken
            );
            var isServing = reply.Status == HealthCheckResponse.Types.ServingStatus.Serving;
            await console.Output.WriteAsync(
                json ? JsonText.Object(writer => writer.WriteBoolean("serving", isServing))
                : isServing ? "serving\n"
                : "not serving\n"
            );
            return isServing ? ExitCodes.Done : ExitCodes.Failed;
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.NotFound)
        {
            await console.Error.WriteLineAsync($"ipamd health: {exception.Status.Detail}");
            return ExitCodes.Failed;
        }
    }

    /// <summary>Prints the health with its causes, as <c>ipamd status</c> does, with the same exit codes.</summary>
    /// <param name="client">Of the daemon.</param>
    /// <param name="json">As JSON.</param>
    /// <param name="console">Where to write.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="RpcException">No answer.</exception>
    public static async Task<int> ExplainAsync(DaemonClient client, bool json, CommandConsole console, CancellationToken cancellationToken)
    {
        var status = await client.Node.GetStatusAsync(
            new GetStatusRequest(),
            deadline: client.Deadline,
            cancellationToken: cancellationToken
        );
        if (json)
        {
            await console.Output.WriteLineAsync(StatusReport.Json.Format(status.Health));
        }
        else
        {
            var table = new TableWriter();
            StatusReport.Head(table, status.Health);
            if (status.Health.Causes.Count == 0)
                table.WriteRow("READY");
            await console.Output.WriteAsync(table.ToString());
        }

        return StatusReport.ExitCodeOf(status.Health);
    }
}
