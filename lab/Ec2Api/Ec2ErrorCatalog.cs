// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.Ec2Api;

/// <summary>
/// Error codes that EC2 documents for the operations served here and for every request
/// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html), those of all AWS services included.
/// A fault with a code that nobody ever sends tests nothing.
/// </summary>
internal static class Ec2ErrorCatalog
{
    /// <summary>In alphabetical order; those of the model are among them.</summary>
    public static IReadOnlyList<string> Codes { get; } =
    [
        "AccessDenied", "AccessDeniedException", "AttachmentLimitExceeded", "AuthFailure", "BandwidthLimitExceeded", "Blocked",
        "ConcurrentTagAccess", "DependencyViolation", "DryRunOperation", "EC2ThrottledException", "ExpiredToken", "ExpiredTokenException",
        "FilterLimitExceeded", "IdempotentParameterMismatch", "IncompleteSignature", "IncorrectInstanceState", "IncorrectState",
        "IncorrectStateException", "InsufficientAddressCapacity", "InsufficientCapacity", "InsufficientCidrBlocks",
        "InsufficientFreeAddressesInSubnet", "InsufficientInstanceCapacity", "InternalError", "InternalFailure", "InternalServerError",
        "InvalidAction", "InvalidAddress.NotFound", "InvalidAttachment.NotFound", "InvalidAttachmentID.NotFound", "InvalidAvailabilityZone",
        "InvalidCharacter", "InvalidClientTokenId", "InvalidFilter", "InvalidGroup.Duplicate", "InvalidGroup.InUse",
        "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "InvalidID", "InvalidIPAddress.InUse", "InvalidInstanceAttributeValue",
        "InvalidInstanceID", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound", "InvalidInstanceType",
        "InvalidInterface.IpAddressLimitExceeded", "InvalidMaxResults", "InvalidNetworkInterface.InUse", "InvalidNetworkInterface.NotFound",
        "InvalidNetworkInterfaceAttachmentId.Malformed", "InvalidNetworkInterfaceID.NotFound", "InvalidNetworkInterfaceId.Malformed",
        "InvalidNextToken", "InvalidPaginationToken", "InvalidParameter", "InvalidParameterCombination", "InvalidParameterDependency",
        "InvalidParameterValue", "InvalidPermission.Duplicate", "InvalidPermission.Malformed", "InvalidPermission.NotFound",
        "InvalidQueryParameter", "InvalidRequest", "InvalidResourceType.Unknown", "InvalidSecurity.RequestHasExpired",
        "InvalidSecurityGroupID.NotFound", "InvalidSecurityGroupId.Malformed", "InvalidSecurityGroupRuleId.NotFound", "InvalidState",
        "InvalidSubnet", "InvalidSubnet.Conflict",
        "InvalidSubnet.Range", "InvalidSubnetID.NotFound", "InvalidSubnetId.Malformed", "InvalidTagKey.Malformed", "InvalidToken",
        "InvalidVpcID.Malformed", "InvalidVpcID.NotFound", "InvalidVpcRange", "InvalidVpcState", "InvalidZone.NotFound",
        "MalformedQueryString", "MissingAction", "MissingAuthenticationToken", "MissingParameter", "NetworkInterfaceLimitExceeded",
        "NetworkInterfaceNotFoundException", "OperationNotPermitted", "OptInRequired", "PendingVerification",
        "PrivateIpAddressLimitExceeded", "RequestExpired", "RequestLimitExceeded", "RequestResourceCountExceeded",
        "Resource.AlreadyAssigned", "Resource.AlreadyAssociated", "ResourceCountExceeded", "ResourceCountLimitExceeded",
        "ResourceLimitExceeded", "RulesPerSecurityGroupLimitExceeded", "SecurityGroupLimitExceeded",
        "SecurityGroupsPerInstanceLimitExceeded", "SecurityGroupsPerInterfaceLimitExceeded", "ServerInternal", "ServiceUnavailable",
        "SignatureDoesNotMatch", "SubnetLimitExceeded", "TagLimitExceeded", "TagPolicyViolation", "Throttling", "ThrottlingException",
        "UnauthorizedOperation", "Unavailable", "UnknownParameter", "UnrecognizedClientException", "Unsupported", "UnsupportedOperation",
        "UnsupportedProtocol", "VPCIdNotSpecified", "ValidationError", "VpcLimitExceeded",
    ];

    /// <summary>What EC2 sends a code with; 400 for all that are the caller's fault.</summary>
    public static HttpStatusCode StatusOf(string code) => code switch
    {
        "RequestLimitExceeded" or "Throttling" or "ThrottlingException" or "EC2ThrottledException" or "BandwidthLimitExceeded"
            or "ServiceUnavailable" or "Unavailable" => HttpStatusCode.ServiceUnavailable,
        "InternalError" or "InternalFailure" or "InternalServerError" or "ServerInternal" => HttpStatusCode.InternalServerError,
        "UnauthorizedOperation" => HttpStatusCode.Forbidden,
        _ => HttpStatusCode.BadRequest,
    };
}
