// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using Grpc.Health.V1;
using VpcCni.Ipamd.Readiness;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// <c>grpc.health.v1.Health</c>. The whole server ("") and <c>grpc.health.v1.aws-node</c> serve when an ADD can be served; <c>liveness</c>
/// serves as long as the process answers, so that a node whose cloud does not answer is not ready, but is not restarted for it either.
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
