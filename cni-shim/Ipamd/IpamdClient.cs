// SPDX-License-Identifier: Apache-2.0
using Grpc.Core;
using VpcCni.Protos.Rpc;
using VpcCni.Protos.V1;

namespace VpcCni.Shim.Ipamd;

/// <summary>
/// The calls of one run of the plugin. They block, because the plugin has nothing else to do. Each has a deadline. Failures are
/// <see cref="RpcException"/>; <see cref="IpamdErrors"/> turns them into CNI errors.
/// </summary>
internal sealed class IpamdClient
{
    /// <summary>Trailer of a successful DelNetwork. Not a field of the reply: its numbers belong to aws-node.</summary>
    private const string DeletesLinks = "vpccni-deletes-links";

    /// <summary>Trailer of a successful AddNetwork.</summary>
    private const string OtherNamespace = "vpccni-other-namespace";

    private readonly UnixCallInvoker _invoker;
    private readonly TimeProvider _time;
    private readonly PluginLog _log;
    private readonly DaemonWait _wait;

    public IpamdClient(PluginHost host, NetworkConfig config, PluginLog log)
    {
        _invoker = new UnixCallInvoker(config.IpamdSocket, host.Time);
        _time = host.Time;
        _log = log;
        _wait = new DaemonWait(config.IpamdSocket, config.IpamdWait, host.Time, log);
        SocketPath = config.IpamdSocket;
    }

    public string SocketPath { get; }

    /// <summary>
    /// Whether the last reply says that the daemon deletes the links in <see cref="Netlink.LinkGroups.Released"/>. The daemon of aws-node
    /// never does.
    /// </summary>
    public bool DaemonDeletesLinks => _invoker.ResponseHeaders.ContainsKey(DeletesLinks);

    /// <summary>
    /// Whether the last AddNetwork returned an earlier reservation of the attachment, made with another namespace. The daemon of aws-node
    /// never says so.
    /// </summary>
    public bool HeldWithOtherNamespace => _invoker.ResponseHeaders.ContainsKey(OtherNamespace);

    public static string OwnVersion { get; } = typeof(IpamdClient).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    /// <summary>Waits for a daemon that is down (<see cref="DaemonWait"/>).</summary>
    public AddNetworkReply AddNetwork(AddNetworkRequest request, TimeSpan timeout)
    {
        var client = new CNIBackend.CNIBackendClient(_invoker);
        return _wait.Run(
            timeout,
            left =>
                WithClientVersion(version =>
                {
                    request.ClientVersion = version;
                    return client.AddNetwork(request, Within(left));
                })
        );
    }

    /// <summary>Does not wait for a daemon that is down: a runtime must be able to remove pods meanwhile.</summary>
    public DelNetworkReply DelNetwork(DelNetworkRequest request, TimeSpan timeout)
    {
        var client = new CNIBackend.CNIBackendClient(_invoker);
        return WithClientVersion(version =>
        {
            request.ClientVersion = version;
            return client.DelNetwork(request, Within(timeout));
        });
    }

    /// <summary>Waits for a daemon that is down.</summary>
    public CheckAttachmentReply CheckAttachment(AttachmentKey key, TimeSpan timeout) =>
        _wait.Run(
            timeout,
            left => new NodeIpam.NodeIpamClient(_invoker).CheckAttachment(new CheckAttachmentRequest { Attachment = key }, Within(left))
        );

    /// <summary>Waits for a daemon that is down.</summary>
    public CollectGarbageReply CollectGarbage(CollectGarbageRequest request, TimeSpan timeout) =>
        _wait.Run(timeout, left => new NodeIpam.NodeIpamClient(_invoker).CollectGarbage(request, Within(left)));

    /// <summary>Does not wait for a daemon that is down: that is the answer.</summary>
    public GetStatusReply GetStatus(TimeSpan timeout) =>
        new NodeIpam.NodeIpamClient(_invoker).GetStatus(new GetStatusRequest(), Within(timeout));

    private CallOptions Within(TimeSpan timeout) => new(deadline: _time.GetUtcNow().UtcDateTime + timeout);

    private T WithClientVersion<T>(Func<string, T> call)
    {
        try
        {
            return call(OwnVersion);
        }
        catch (RpcException exception) when (IpamdErrors.ExpectedClientVersion(exception) is { } expected)
        {
            _log.Info("the daemon answers clients of one version only; repeating the call under that version", ("version", expected));
            return call(expected);
        }
    }
}
