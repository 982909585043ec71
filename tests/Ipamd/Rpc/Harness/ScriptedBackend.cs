// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Protos.Rpc;

namespace VpcCni.Tests.GrpcHarness;

/// <summary>Implements the generated service with a method body that each test supplies.</summary>
internal sealed class ScriptedBackend(Func<AddNetworkRequest, ServerCallContext, Task<AddNetworkReply>> onAdd) : CNIBackend.CNIBackendBase
{
    public ScriptedBackend()
        : this((request, _) => Task.FromResult(new AddNetworkReply { Success = true, PodENIMAC = request.K8SPODNAME })) { }

    public override Task<AddNetworkReply> AddNetwork(AddNetworkRequest request, ServerCallContext context) => onAdd(request, context);
}
