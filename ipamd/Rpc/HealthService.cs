// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Grpc.Health.V1;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Implements <c>grpc.health.v1.Health</c>. The whole server ("") and <c>grpc.health.v1.aws-node</c> are serving while the daemon can serve
/// an ADD. <c>liveness</c> is serving while the process answers: an unreachable cloud makes the node not ready, but does not restart the
/// daemon.
/// </summary>
internal sealed class HealthService(DaemonState state) : Health.HealthBase
{
    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        var serving = request.Service switch
        {
            "" or "grpc.health.v1.aws-node" => state.Ready,
            "liveness" => true,
            _ => throw new RpcException(
                new Status(StatusCode.NotFound, $"unknown service '{request.Service}'; known: '', 'grpc.health.v1.aws-node', 'liveness'")
            ),
        };
        return Task.FromResult(
            new HealthCheckResponse
            {
                Status = serving ? HealthCheckResponse.Types.ServingStatus.Serving : HealthCheckResponse.Types.ServingStatus.NotServing,
            }
        );
    }
}
