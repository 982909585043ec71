// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>
/// One request that changes something: an immutable value, ready for the wire, made by the factories (<see cref="LinkRequests"/>,
/// <see cref="AddressRequests"/>, <see cref="RouteRequests"/>, <see cref="RuleRequests"/>, <see cref="NeighbourRequests"/>) and executed by
/// <see cref="RouteNetlink"/>, once or often. A request that refers to a <see cref="NetworkNamespace"/> needs that namespace undisposed
/// when it is executed.
/// </summary>
public sealed class NetlinkRequest
{
    private readonly Func<string> _describe;
    private readonly Errno[] _tolerated;

    internal NetlinkRequest(byte[] message, Func<string> describe)
        : this(message, describe, []) { }

    private NetlinkRequest(byte[] message, Func<string> describe, Errno[] tolerated)
    {
        Message = message;
        _describe = describe;
        _tolerated = tolerated;
    }

    /// <summary>The equivalent <c>ip</c> command. Links known by number only are written if7, which <c>ip</c> understands.</summary>
    public string Description => _describe();

    /// <summary>The message with its header; sequence number, port and namespace descriptor are filled in when it is sent.</summary>
    internal byte[] Message { get; }

    /// <summary>The namespace whose descriptor (IFLA_NET_NS_FD) belongs at <see cref="TargetOffset"/> of the message.</summary>
    internal NetworkNamespace? Target { get; init; }
    internal int TargetOffset { get; init; }

    /// <summary>
    /// What has to be done next, in namespace <see cref="Target"/> or else here, for the request to be complete: the kernel cannot do it in
    /// one message. Not done if the request itself was refused.
    /// </summary>
    internal NetlinkRequest? FollowUp { get; init; }

    /// <summary>The same request, for which these errors count as success, e.g. EEXIST on add or ESRCH on remove.</summary>
    public NetlinkRequest Tolerating(params Errno[] errnos)
    {
        ArgumentNullException.ThrowIfNull(errnos);
        return new NetlinkRequest(Message, _describe, [.. _tolerated, .. errnos])
        {
            Target = Target,
            TargetOffset = TargetOffset,
            FollowUp = FollowUp,
        };
    }

    public override string ToString() => Description;

    internal bool Tolerates(Errno errno) => Array.IndexOf(_tolerated, errno) >= 0;
}
