// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi;

namespace VpcCni.Lab.Hosting;

/// <summary>The HTTP services of a lab on one endpoint.</summary>
internal static class LabServices
{
    /// <summary>
    /// Request header that names the node whose metadata to serve on the loopback endpoint, where the remote address identifies no node.
    /// Without it, the metadata is the first node's.
    /// </summary>
    public const string NodeHeader = "X-VpcLab-Node";

    /// <summary>All services: metadata and Kubernetes on their paths, the cloud's API on every other path.</summary>
    /// <param name="kubernetes">The Kubernetes API that accepts requests without a token; null for none.</param>
    public static RequestDelegate All(ILabCloud cloud, RequestDelegate? kubernetes) =>
        context =>
        {
            var path = context.Request.Path;
            if (cloud.IsMetadata(path))
                return cloud.Metadata(context);
            return kubernetes is not null && KubeApiServer.Owns(path) ? kubernetes(context) : cloud.Api(context);
        };

    /// <summary>The node that a request on the loopback endpoint is for; null if there is no node.</summary>
    /// <param name="names">The names of the nodes, in order.</param>
    public static string? NodeOf(HttpContext context, IReadOnlyList<string> names) =>
        context.Request.Headers[NodeHeader] is [{ Length: > 0 } named] ? named
        : names.Count > 0 ? names[0]
        : null;
}
