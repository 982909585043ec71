// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>
/// An error of the EC2 API: its code, message and HTTP status. The codes are those of
/// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html; the messages are EC2's where they are known.
/// </summary>
public sealed class Ec2FaultException : Exception
{
    public Ec2FaultException(string code, string message, HttpStatusCode status = HttpStatusCode.BadRequest)
        : base(message)
    {
        Code = code;
        Status = status;
    }

    /// <summary>EC2's error code, for example <c>PrivateIpAddressLimitExceeded</c>.</summary>
    public string Code { get; }

    public HttpStatusCode Status { get; }

    public override string ToString() => $"{Code}: {Message}";
}

/// <summary>Creates the errors that the model returns.</summary>
public static class Ec2Faults
{
    public static Ec2FaultException NoSuchVpc(string id) => new("InvalidVpcID.NotFound", $"The vpc ID '{id}' does not exist");

    public static Ec2FaultException NoSuchSubnet(string id) => new("InvalidSubnetID.NotFound", $"The subnet ID '{id}' does not exist");

    public static Ec2FaultException NoSuchRouteTable(string id) =>
        new("InvalidRouteTableID.NotFound", $"The routeTable ID '{id}' does not exist");

    public static Ec2FaultException NoSuchRoute(RouteTableId table, IPNetwork destination) =>
        new("InvalidRoute.NotFound", $"no route with destination-cidr-block {destination} in route table {table}");

    public static Ec2FaultException RouteExists(IPNetwork destination) =>
        new("RouteAlreadyExists", $"The route identified by {destination} already exists.");

    public static Ec2FaultException RouteLimit(int limit) =>
        new("RouteLimitExceeded", $"The maximum number of routes has been reached: {limit}");

    /// <summary>The instance cannot be the target of a route.</summary>
    public static Ec2FaultException BadInstance(string message) => new("InvalidInstanceID", message);

    public static Ec2FaultException NoSuchInstance(string id) =>
        new("InvalidInstanceID.NotFound", $"The instance ID '{id}' does not exist");

    public static Ec2FaultException NoSuchInterface(string id) =>
        new("InvalidNetworkInterfaceID.NotFound", $"The networkInterface ID '{id}' does not exist");

    public static Ec2FaultException NoSuchAttachment(string id) =>
        new("InvalidAttachmentID.NotFound", $"The interface attachment '{id}' does not exist");

    public static Ec2FaultException NoSuchGroup(string id) => new("InvalidGroup.NotFound", $"The security group '{id}' does not exist");

    public static Ec2FaultException DuplicateRule(RulePermission rule) =>
        new("InvalidPermission.Duplicate", $"the specified rule \"{rule}\" already exists");

    public static Ec2FaultException NoSuchRule() =>
        new("InvalidPermission.NotFound", "The specified rule does not exist in this security group.");

    public static Ec2FaultException NoSuchRuleId(string id) =>
        new("InvalidSecurityGroupRuleId.NotFound", $"The security group rule ID '{id}' does not exist");

    public static Ec2FaultException BadId(string id) => new("InvalidID", $"The ID '{id}' is not valid");

    public static Ec2FaultException BadValue(string message) => new("InvalidParameterValue", message);

    public static Ec2FaultException BadCombination(string message) => new("InvalidParameterCombination", message);

    public static Ec2FaultException Missing(string parameter) =>
        new("MissingParameter", $"The request must contain the parameter {parameter}");

    /// <summary>The interface (or its instance type) has no slot left for an address; a prefix takes one slot.</summary>
    public static Ec2FaultException AddressLimit() =>
        new("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.");

    /// <summary>
    /// An unattached interface has more addresses than the instance type allows (message as in cilium/cilium#9730).
    /// </summary>
    public static Ec2FaultException AddressLimitOfInstance(NetworkInterface eni, InstanceType type) =>
        new(
            "InvalidInterface.IpAddressLimitExceeded",
            $"Address count {eni.Ipv4Slots} on {eni.Id.Value.Replace("eni-", "interface-", StringComparison.Ordinal)} exceeds the "
                + $"limit for {type.Name}"
        );

    public static Ec2FaultException Ipv6AddressLimit() => new("InvalidParameterValue", "Number of IPv6 addresses will exceed limit.");

    public static Ec2FaultException NoIpv6Range(SubnetId subnet) => BadValue($"The subnet '{subnet}' has no IPv6 CIDR block");

    /// <summary>EC2 documents no code of its own for an instance type without IPv6.</summary>
    public static Ec2FaultException Ipv6Unsupported(InstanceType type) =>
        new("UnsupportedOperation", $"The instance type {type.Name} does not support IPv6");

    public static Ec2FaultException AttachmentLimit(int count, string instanceType) =>
        new("AttachmentLimitExceeded", $"Interface count {count} exceeds the limit for {instanceType}");

    public static Ec2FaultException SubnetFull() =>
        new("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.");

    /// <summary>The subnet has enough free addresses but no free aligned /28, because it is fragmented.</summary>
    public static Ec2FaultException SubnetFragmented() =>
        new("InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.");

    /// <summary>
    /// The subnet has fewer free addresses than the prefixes need. EC2's code differs from that for fragmentation (AWS support in
    /// cilium/cilium#31016).
    /// </summary>
    public static Ec2FaultException SubnetTooFullForPrefixes() => BadValue("There aren't sufficient free Ipv4 addresses or prefixes");

    public static Ec2FaultException InterfaceInUse(EniId id) => new("InvalidNetworkInterface.InUse", $"Interface: [{id}] in use.");

    public static Ec2FaultException DeleteInUse(EniId id) => BadValue($"Network interface '{id}' is currently in use.");

    public static Ec2FaultException AddressInUse() => new("InvalidIPAddress.InUse", "The specified address is already in use.");

    public static Ec2FaultException IncorrectState(string message) => new("IncorrectState", message);

    public static Ec2FaultException NotPermitted(string message) => new("OperationNotPermitted", message);

    public static Ec2FaultException TokenReused() =>
        new(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
        );

    public static Ec2FaultException Throttled() =>
        new("RequestLimitExceeded", "Request limit exceeded.", HttpStatusCode.ServiceUnavailable);

    public static Ec2FaultException Unauthorized(string operation) =>
        new(
            "UnauthorizedOperation",
            $"You are not authorized to perform this operation. No identity-based policy allows the ec2:{operation} action",
            HttpStatusCode.Forbidden
        );

    public static Ec2FaultException WouldHaveSucceeded() =>
        new("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", HttpStatusCode.PreconditionFailed);

    public static Ec2FaultException Internal() =>
        new("InternalError", "An internal error has occurred", HttpStatusCode.InternalServerError);
}
