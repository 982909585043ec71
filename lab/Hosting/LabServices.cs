// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Imds;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Hosting;

/// <summary>The HTTP services of a lab; they share one world and one set of credentials.</summary>
internal sealed class LabServices
{
    /// <summary>
    /// Request header that names the node whose metadata to serve on the loopback endpoint, where the remote address identifies no node.
    /// Without it, the metadata is the first node's.
    /// </summary>
    public const string NodeHeader = "X-VpcLab-Node";

    private readonly VpcWorld _world;
    private readonly Func<string?, InstanceId?> _instanceOfNode;
    private readonly RequestDelegate? _kubernetes;
    private readonly Ec2ApiServer _ec2;
    private readonly ImdsServer _imds;

    /// <param name="kubernetes">The Kubernetes API that accepts requests without a token; null for none.</param>
    public LabServices(
        VpcWorld world,
        TimeProvider time,
        TimeSpan ec2Latency,
        Func<string?, InstanceId?> instanceOfNode,
        RequestDelegate? kubernetes
    )
    {
        _kubernetes = kubernetes;
        _world = world;
        _instanceOfNode = instanceOfNode;
        var credentials = new CredentialStore(time, NewRandom());
        _ec2 = new Ec2ApiServer(world, credentials, time, NewRandom(), new Ec2ApiOptions { Latency = ec2Latency });
        _imds = new ImdsServer(world, credentials, time, NewRandom(), InstanceOf);
    }

    public RequestDelegate Ec2Api => _ec2.HandleAsync;

    public RequestDelegate Metadata => _imds.HandleAsync;

    /// <summary>All services on one endpoint: metadata below <c>/latest</c>, Kubernetes on its paths, EC2 on every other path.</summary>
    public RequestDelegate All =>
        context =>
        {
            var path = context.Request.Path;
            if (path.StartsWithSegments(ImdsServer.PathPrefix, StringComparison.Ordinal))
                return Metadata(context);
            return _kubernetes is { } kubernetes && KubeApiServer.Owns(path) ? kubernetes(context) : Ec2Api(context);
        };

    private static Random NewRandom() => new(RandomNumberGenerator.GetInt32(int.MaxValue));

    /// <summary>The instance that owns the remote address: the address of a node, or of a pod, on one of the instance's ENIs.</summary>
    private InstanceId? InstanceOf(HttpContext context)
    {
        if (context.Connection.RemoteIpAddress is not { } remote)
            return null;
        if (IPAddress.IsLoopback(remote))
            return _instanceOfNode(context.Request.Headers[NodeHeader]);
        lock (_world.Gate)
            return _world.FindOwner(remote)?.Attachment?.Instance;
    }
}
