// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Classifies EC2's error codes (docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html); no other file knows them. EC2
/// reports some conditions with a specific code on one path and with InvalidParameterValue and prose on another, so a code alone does not
/// decide.
/// </summary>
internal static class Ec2ErrorCodes
{
    /// <summary>This daemon's code for missing credentials; nothing was sent.</summary>
    public const string CredentialsUnavailable = "CredentialsUnavailable";

    /// <summary>This daemon's code for a failed connection; nothing was sent.</summary>
    public const string NoConnection = "NoConnection";

    /// <summary>This daemon's code for a call that was, or may have been, sent and was not answered.</summary>
    public const string NoAnswer = "NoAnswer";

    /// <summary>This daemon's code for an answer that could not be parsed.</summary>
    public const string UnreadableAnswer = "UnreadableAnswer";

    /// <summary>
    /// EC2 does not know the instance: not yet everywhere, or it was terminated. Not classified as "not found": the interface that could
    /// not be attached exists and is deleted.
    /// </summary>
    private const string InstanceNotFound = "InvalidInstanceID.NotFound";

    private static readonly HashSet<string> Throttled =
    [
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "SlowDown",
        "PriorRequestNotComplete",
    ];

    private static readonly HashSet<string> SubnetExhausted = ["InsufficientCidrBlocks", "InsufficientFreeAddressesInSubnet"];

    private static readonly string[] SubnetExhaustedMessages =
    [
        "sufficient free ipv4 addresses or prefixes",
        "sufficient free ipv6 addresses or prefixes",
        "sufficient free addresses",
        "sufficient free ip addresses",
        "does not have enough free",
        "not enough free addresses",
        "no free addresses",
        "insufficient cidr blocks",
        "not enough contiguous",
        "insufficient contiguous",
    ];

    private static readonly HashSet<string> AddressLimit =
    [
        "PrivateIpAddressLimitExceeded",
        "Ipv6AddressLimitExceeded",
        "InvalidInterface.IpAddressLimitExceeded",
    ];

    private static readonly string[] AddressLimitMessages =
    [
        "number of private addresses will exceed limit",
        "number of ipv6 addresses will exceed limit",
        "exceeds the maximum number of ip addresses",
        "exceeds the limit for",
    ];

    /// <summary>Limits of the instance (attach) and of the account in the region (create).</summary>
    private static readonly HashSet<string> InterfaceLimit =
    [
        "AttachmentLimitExceeded",
        "NetworkInterfaceLimitExceeded",
        "ResourceLimitExceeded",
    ];

    private static readonly string[] InterfaceLimitMessages =
    [
        "interface count",
        "exceeds the limit for the instance type",
        "maximum number of network interfaces",
    ];

    /// <summary>Codes that do not end in <c>.NotFound</c>.</summary>
    private static readonly HashSet<string> NotFound = ["NetworkInterfaceNotFoundException"];

    private static readonly HashSet<string> NotPermitted =
    [
        "UnauthorizedOperation",
        "AuthFailure",
        "AccessDenied",
        "AccessDeniedException",
        "Blocked",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "OptInRequired",
        "PendingVerification",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        CredentialsUnavailable,
    ];

    /// <summary>
    /// Rejected before execution because of the time in the signature. The SDK has taken the server's time from the answer and signs the
    /// next attempt with it.
    /// </summary>
    private static readonly HashSet<string> ClockSkew =
    [
        "InvalidSecurity.RequestHasExpired",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
    ];

    private static readonly HashSet<string> Conflict =
    [
        "ConcurrentTagAccess",
        "DependencyViolation",
        "IncorrectInstanceState",
        InstanceNotFound,
        "IncorrectState",
        "IncorrectStateException",
        "InvalidNetworkInterface.InUse",
        "InvalidIPAddress.InUse",
        "OperationInProgress",
        "Resource.AlreadyAssigned",
        "Resource.AlreadyAssociated",
        "ResourceAlreadyAssigned",
    ];

    private static readonly string[] ConflictMessages =
    [
        "currently in use",
        "already has an interface attached",
        "already attached",
        "is already in use",
        "is not in the correct state",
    ];

    private static readonly HashSet<string> Invalid =
    [
        "DryRunOperation",
        "FilterLimitExceeded",
        "IdempotentParameterMismatch",
        "InvalidAction",
        "InvalidCharacter",
        "InvalidFilter",
        "InvalidInstanceType",
        "InvalidNextToken",
        "InvalidPaginationToken",
        "InvalidParameter",
        "InvalidParameterCombination",
        "InvalidParameterDependency",
        "InvalidParameterValue",
        "InvalidQueryParameter",
        "MalformedQueryString",
        "MissingAction",
        "MissingParameter",
        "OperationNotPermitted",
        "TagLimitExceeded",
        "UnknownParameter",
        "UnsupportedOperation",
        "Unsupported",
        "ValidationError",
    ];

    private static readonly HashSet<string> Transient =
    [
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerInternal",
        "ServiceUnavailable",
        "Unavailable",
        NoConnection,
        NoAnswer,
        UnreadableAnswer,
    ];

    private static readonly string[] NotAssignedMessages =
    [
        "are not assigned to",
        "is not assigned to",
        "not assigned to interface",
        "not assigned to network interface",
    ];

    /// <summary>Returns the kind of failure for a code, its message and the HTTP status.</summary>
    public static CloudErrorKind Classify(string code, string message, HttpStatusCode? status)
    {
        // CloudTrail and some paths use these prefixes.
        if (code.StartsWith("Client.", StringComparison.Ordinal) || code.StartsWith("Server.", StringComparison.Ordinal))
            code = code[(code.IndexOf('.', StringComparison.Ordinal) + 1)..];
        if (Throttled.Contains(code) || status == HttpStatusCode.TooManyRequests)
            return CloudErrorKind.Throttled;
        if (SubnetExhausted.Contains(code))
            return CloudErrorKind.SubnetExhausted;
        if (AddressLimit.Contains(code))
            return CloudErrorKind.AddressLimit;
        if (InterfaceLimit.Contains(code))
            return CloudErrorKind.InterfaceLimit;
        if (NotPermitted.Contains(code))
            return CloudErrorKind.NotPermitted;
        if (Conflict.Contains(code) || code.EndsWith(".InUse", StringComparison.Ordinal))
            return CloudErrorKind.Conflict;
        if (NotFound.Contains(code) || code.EndsWith(".NotFound", StringComparison.Ordinal))
            return CloudErrorKind.NotFound;
        if (Transient.Contains(code) || ClockSkew.Contains(code))
            return CloudErrorKind.Transient;
        if (Invalid.Contains(code) || code.EndsWith(".Malformed", StringComparison.Ordinal))
            return FromMessage(message) ?? CloudErrorKind.Invalid;
        if (status >= HttpStatusCode.InternalServerError)
            return CloudErrorKind.Transient;
        return FromMessage(message) ?? (status == HttpStatusCode.Forbidden ? CloudErrorKind.NotPermitted : CloudErrorKind.Unknown);
    }

    /// <summary>Whether the call was valid and its caller lacks the permission.</summary>
    public static bool IsMissingPermission(string code) =>
        code is "UnauthorizedOperation" or "Client.UnauthorizedOperation" or "AccessDenied" or "AccessDeniedException";

    /// <summary>Whether EC2 certainly did not execute the call, so that any call may be repeated.</summary>
    public static bool WasNotExecuted(string code) => code == NoConnection || ClockSkew.Contains(code);

    /// <summary>Whether an unassign call named an address that the interface does not have; EC2 then unassigned none.</summary>
    public static bool IsNotAssigned(CloudException failure) =>
        failure.Kind == CloudErrorKind.Invalid && Contains(failure.Message, NotAssignedMessages);

    private static CloudErrorKind? FromMessage(string message) =>
        Contains(message, SubnetExhaustedMessages) ? CloudErrorKind.SubnetExhausted
        // "Interface count 4 exceeds the limit for m5.large" before "Address count 7 on interface-1 exceeds the limit for t3.medium".
        : Contains(message, InterfaceLimitMessages) ? CloudErrorKind.InterfaceLimit
        : Contains(message, AddressLimitMessages) ? CloudErrorKind.AddressLimit
        : Contains(message, ConflictMessages) ? CloudErrorKind.Conflict
        : null;

    private static bool Contains(string message, string[] parts) =>
        parts.Any(part => message.Contains(part, StringComparison.OrdinalIgnoreCase));
}
