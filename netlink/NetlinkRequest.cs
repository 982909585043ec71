// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink;

/// <summary>
/// A request that changes kernel state: an immutable value with the encoded message, created by the factories (<see cref="LinkRequests"/>,
/// <see cref="AddressRequests"/>, <see cref="RouteRequests"/>, <see cref="RuleRequests"/>, <see cref="NeighbourRequests"/>) and executed by
/// <see cref="RouteNetlink"/>, any number of times. A <see cref="NetworkNamespace"/> to which the request refers must not be disposed
/// before it is executed.
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

    /// <summary>The equivalent <c>ip</c> command. Links given by index are written as if7, which <c>ip</c> accepts.</summary>
    public string Description => _describe();

    /// <summary>The message with its header. Sequence number, port and namespace descriptor are set when it is sent.</summary>
    internal byte[] Message { get; }

    /// <summary>The namespace whose descriptor (IFLA_NET_NS_FD) is written at <see cref="TargetOffset"/>.</summary>
    internal NetworkNamespace? Target { get; init; }
    internal int TargetOffset { get; init; }

    /// <summary>
    /// A second request that completes this one where the kernel cannot do both in one message. Executed in namespace <see cref="Target"/>,
    /// or in that of the socket, unless the first request was rejected.
    /// </summary>
    internal NetlinkRequest? FollowUp { get; init; }

    /// <summary>
    /// Returns a copy of the request for which these errors count as success, such as EEXIST for add or ESRCH for remove.
    /// </summary>
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
