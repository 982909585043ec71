// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Grpc.Health.V1;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// <c>ipamd health</c>: the standard health question, for probes that execute a program. A Unix socket is out of reach of kubelet's own
/// gRPC probes.
/// </summary>
internal static class HealthCommand
{
    /// <param name="client">Of the daemon.</param>
    /// <param name="service">Empty: an ADD can be served. <c>liveness</c>: the process answers.</param>
    /// <param name="json">As JSON.</param>
    /// <param name="console">Where to write.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>0 serving, 1 not serving or not known.</returns>
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

    /// <summary>For people and scripts: the level with its causes, in the words and with the exit codes of <c>ipamd status</c>.</summary>
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
            var screen = new TableWriter();
            StatusReport.Head(screen, status.Health);
            if (status.Health.Causes.Count == 0)
                screen.Row("READY");
            await console.Output.WriteAsync(screen.ToString());
        }

        return StatusReport.ExitCodeOf(status.Health);
    }
}
