// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.DependencyInjection;

namespace Grpc.AspNetCore.Server;

/// <summary>What AddGrpc returns.</summary>
public interface IGrpcServerBuilder
{
    IServiceCollection Services { get; }
}
