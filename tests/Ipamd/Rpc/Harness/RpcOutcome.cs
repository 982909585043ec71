// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;

namespace VpcCni.Tests.GrpcHarness;

/// <summary>Returns how a call ended as a value to assert on.</summary>
internal static class RpcOutcome
{
    public static async Task<RpcException> FailureOf<TResponse>(AsyncUnaryCall<TResponse> call)
    {
        using (call)
            return await Xunit.Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(TimeSpan.FromSeconds(20)));
    }
}
