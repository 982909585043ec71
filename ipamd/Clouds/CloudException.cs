// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;

namespace VpcCni.Ipamd.Clouds;

/// <summary>Why a cloud call failed, as far as the pool's decisions depend on it.</summary>
internal enum CloudErrorKind
{
    /// <summary>Anything that no other kind describes; retried slowly.</summary>
    Unknown,

    /// <summary>Request rate exceeded: slow down.</summary>
    Throttled,

    /// <summary>The subnet has no free address, or no free contiguous prefix.</summary>
    SubnetExhausted,

    /// <summary>The interface carries as many addresses as its type allows.</summary>
    AddressLimit,

    /// <summary>The node carries as many interfaces as its type allows, or the account's quota is used up.</summary>
    InterfaceLimit,

    /// <summary>The thing named in the call does not exist (any more, or not yet: the control plane is eventually consistent).</summary>
    NotFound,

    /// <summary>The node's role lacks a permission, or its credentials are not valid.</summary>
    NotPermitted,

    /// <summary>The thing is in a state that does not allow the call now, e.g. a device index in use, an interface in use.</summary>
    Conflict,

    /// <summary>No answer, or a failure of the service: the call may or may not have taken effect.</summary>
    Transient,

    /// <summary>The call itself is wrong; repeating it cannot help.</summary>
    Invalid,

    /// <summary>Refused by this daemon's own configuration; nothing was sent. The message names the option.</summary>
    Disabled,
}

/// <summary>A cloud call that did not succeed. Carries the evidence for the log and the kind for the decision.</summary>
internal sealed class CloudException : Exception, IExpectedFailure
{
    /// <summary>Texts may be others': they are kept as excerpts.</summary>
    public CloudException(
        CloudErrorKind kind,
        string operation,
        string code,
        string message,
        string? requestId = null,
        Exception? innerException = null
    )
        : base(
            $"{Truncate.Of(operation)}: {Truncate.Of(code, Truncate.LongestWord)}: {Truncate.Of(message, Truncate.LongestMessage)}",
            innerException
        )
    {
        Kind = kind;
        Operation = Truncate.Of(operation);
        Code = Truncate.Of(code, Truncate.LongestWord);
        RequestId = requestId is null ? null : Truncate.Of(requestId, Truncate.LongestWord);
    }

    public CloudErrorKind Kind { get; }

    string IExpectedFailure.FailureKind => Kind.ToString();

    /// <summary>The cloud's name of the call, e.g. <c>AssignPrivateIpAddresses</c>.</summary>
    public string Operation { get; }

    /// <summary>The cloud's error code, e.g. <c>InsufficientCidrBlocks</c>; or our own word when there was no answer.</summary>
    public string Code { get; }
    public string? RequestId { get; }

    /// <summary>When the call may succeed, where that is known: tokens of our own budget return. Null: not known.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public override string ToString() => Truncate.Of(this, Message);
}
