// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Hosting;

namespace VpcCni.Ipamd.Rpc;

/// <summary>
/// Middleware that rejects callers other than root. The socket's mode does so too; this check still holds if the mode is loosened or the
/// socket's folder is mounted into a container.
/// </summary>
internal static class RootOnly
{
    /// <summary>
    /// Calls <paramref name="next"/> for root and answers HTTP 403 to others, which a gRPC client reports as PERMISSION_DENIED. Source:
    /// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md.
    /// </summary>
    public static Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (PeerCredentials.FromHttpContext(context) is { IsRoot: true })
            return next(context);
        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return Task.CompletedTask;
    }
}
