// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Hosting;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Refuses callers that are not root. The socket's mode says the same; this also holds when somebody loosens it, or mounts the socket's
/// folder into a container.
/// </summary>
internal static class RootOnly
{
    /// <summary>
    /// PERMISSION_DENIED for the gRPC client: HTTP 403, https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md.
    /// </summary>
    public static Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (PeerCredentials.FromHttpContext(context) is { IsRoot: true })
            return next(context);
        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return Task.CompletedTask;
    }
}
