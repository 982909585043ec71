// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Logging;

namespace VpcCni.Ipamd.Clouds;

/// <summary>Why a cloud call failed, as far as decisions depend on it.</summary>
internal enum CloudErrorKind
{
    /// <summary>Anything that no other kind describes; retried slowly.</summary>
    Unknown,

    /// <summary>Request rate exceeded: slow down.</summary>
    Throttled,

    /// <summary>The subnet has no free address, or no free contiguous prefix.</summary>
    SubnetExhausted,

    /// <summary>The interface has as many addresses as its type allows.</summary>
    AddressLimit,

    /// <summary>The node has as many interfaces as its type allows, or the account's quota is used up.</summary>
    InterfaceLimit,

    /// <summary>The object of the call does not exist: not any more or, the control plane being eventually consistent, not yet.</summary>
    NotFound,

    /// <summary>The node's role lacks a permission, or its credentials are not valid.</summary>
    NotPermitted,

    /// <summary>The object's state does not allow the call now, such as a device index or an interface in use.</summary>
    Conflict,

    /// <summary>No answer, or a failure of the service: the call may or may not have taken effect.</summary>
    Transient,

    /// <summary>The call itself is wrong; repeating it cannot help.</summary>
    Invalid,

    /// <summary>Rejected by this daemon's own configuration; nothing was sent. The message names the option.</summary>
    Disabled,
}

/// <summary>A failed cloud call: details for the log, and the kind for decisions.</summary>
internal sealed class CloudException : Exception, IExpectedFailure
{
    /// <summary>Texts of the cloud are truncated.</summary>
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

    /// <summary>The cloud's name of the call, such as <c>AssignPrivateIpAddresses</c>.</summary>
    public string Operation { get; }

    /// <summary>The cloud's error code, such as <c>InsufficientCidrBlocks</c>, or this daemon's code when there was no answer.</summary>
    public string Code { get; }
    public string? RequestId { get; }

    /// <summary>When the call may succeed, if known: the time until local tokens return. Otherwise null.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the call may have taken effect.</summary>
    public bool IsOutcomeUnknown => Kind == CloudErrorKind.Transient;

    /// <summary>
    /// Whether the change certainly had no effect. For a repeated change only a refusal based on the cloud's state proves that: throttling,
    /// missing permission or a bad request say nothing about an earlier call whose answer was lost.
    /// </summary>
    public bool IsWithoutEffect(bool isRepeated) =>
        !IsOutcomeUnknown
        && (!isRepeated || Kind is CloudErrorKind.SubnetExhausted or CloudErrorKind.AddressLimit or CloudErrorKind.InterfaceLimit);

    /// <summary>The address family that the cloud refused, where a call asks for both and only one is the cause; otherwise null.</summary>
    public AddressFamily? Family { get; set; }

    /// <summary>Whether only a look-up before the change failed, which says nothing about the object of the change.</summary>
    public bool IsOfLookup { get; set; }

    public override string ToString() => Truncate.Of(this, Message);
}
