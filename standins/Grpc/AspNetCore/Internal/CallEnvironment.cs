// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;

namespace Grpc.AspNetCore.Server.Internal;

/// <summary>What every call handler shares.</summary>
internal sealed record CallEnvironment(GrpcServiceOptions Options, TimeProvider Time, ILogger Logger);
