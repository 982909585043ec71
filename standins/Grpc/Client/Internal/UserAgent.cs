// SPDX-License-Identifier: Apache-2.0
namespace Grpc.Net.Client.Internal;

/// <summary>Who we are, in the form that PROTOCOL-HTTP2.md, "User Agents", asks for.</summary>
internal static class UserAgent
{
    public static readonly string Value = $"grpc-csharp-vpccni/0.1.0 (.NET {Environment.Version})";
}
