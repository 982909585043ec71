// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws;

public sealed class Ec2ErrorCodesTests
{
    [Theory]
    [InlineData("RequestLimitExceeded", "Request limit exceeded.", 503, "Throttled")]
    [InlineData("Client.RequestLimitExceeded", "", 503, "Throttled")]
    [InlineData("Throttling", "Rate exceeded", 400, "Throttled")]
    [InlineData("ThrottlingException", "", 400, "Throttled")]
    [InlineData("RequestThrottled", "", 400, "Throttled")]
    [InlineData("EC2ThrottledException", "", 400, "Throttled")]
    [InlineData("TooManyRequests", "", 429, "Throttled")]
    [InlineData(
        "InsufficientCidrBlocks",
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
        400,
        "SubnetExhausted"
    )]
    [InlineData(
        "InsufficientFreeAddressesInSubnet",
        "The specified subnet does not have enough free addresses to satisfy the request.",
        400,
        "SubnetExhausted"
    )]
    [InlineData("InvalidParameterValue", "There aren't sufficient free Ipv4 addresses or prefixes", 400, "SubnetExhausted")]
    [InlineData("InvalidParameterValue", "There aren't sufficient free Ipv6 addresses or prefixes", 400, "SubnetExhausted")]
    [InlineData("SomethingNew", "Insufficient free addresses in subnet subnet-1", 400, "SubnetExhausted")]
    [InlineData("Client.InvalidParameterValue", "There aren't sufficient free Ipv4 addresses or prefixes", 400, "SubnetExhausted")]
    [InlineData("InvalidParameterValue", "Insufficient Free IP Addresses in subnet.", 400, "SubnetExhausted")]
    [InlineData(
        "InvalidParameterValue",
        "The specified subnet does not have enough free cidr blocks to satisfy the request.",
        400,
        "SubnetExhausted"
    )]
    [InlineData("Client.InsufficientFreeAddressesInSubnet", "", 400, "SubnetExhausted")]
    [InlineData(
        "InvalidInterface.IpAddressLimitExceeded",
        "Address count 7 on interface-087bf941f13a906b1 exceeds the limit for t3.medium",
        400,
        "AddressLimit"
    )]
    [InlineData(
        "InvalidParameterValue",
        "Address count 7 on interface-087bf941f13a906b1 exceeds the limit for t3.medium",
        400,
        "AddressLimit"
    )]
    [InlineData("Ipv6AddressLimitExceeded", "", 400, "AddressLimit")]
    [InlineData("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.", 400, "AddressLimit")]
    [InlineData("InvalidParameterValue", "Number of private addresses will exceed limit.", 400, "AddressLimit")]
    [InlineData("AttachmentLimitExceeded", "Interface count 4 exceeds the limit for m5.large", 400, "InterfaceLimit")]
    [InlineData("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached.", 400, "InterfaceLimit")]
    [InlineData("ResourceLimitExceeded", "You have exceeded an Amazon EC2 resource limit.", 400, "InterfaceLimit")]
    [InlineData("InvalidParameterValue", "Interface count 9 exceeds the limit for m4.4xlarge", 400, "InterfaceLimit")]
    [InlineData("UnauthorizedOperation", "You are not authorized to perform this operation.", 403, "NotPermitted")]
    [InlineData("AuthFailure", "AWS was not able to validate the provided access credentials", 401, "NotPermitted")]
    [InlineData("InvalidClientTokenId", "", 403, "NotPermitted")]
    [InlineData("SignatureDoesNotMatch", "", 403, "NotPermitted")]
    [InlineData("ExpiredToken", "", 400, "NotPermitted")]
    [InlineData("IncompleteSignature", "", 400, "NotPermitted")]
    [InlineData("Client.UnauthorizedOperation", "You are not authorized to perform this operation.", 403, "NotPermitted")]
    [InlineData("OptInRequired", "", 403, "NotPermitted")]
    [InlineData("SomethingNew", "", 403, "NotPermitted")]
    [InlineData("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-1' does not exist", 400, "NotFound")]
    [InlineData("InvalidNetworkInterfaceId.NotFound", "", 400, "NotFound")]
    [InlineData("InvalidAttachmentID.NotFound", "", 400, "NotFound")]
    [InlineData("InvalidSubnetID.NotFound", "", 400, "NotFound")]
    [InlineData("InvalidInstanceID.NotFound", "", 400, "Conflict")]
    [InlineData("NetworkInterfaceNotFoundException", "The network interface could not be found", 400, "NotFound")]
    [InlineData("InvalidGroup.NotFound", "The security group 'sg-1' does not exist", 400, "NotFound")]
    [InlineData("InvalidNetworkInterface.InUse", "Interface: [eni-1] in use.", 400, "Conflict")]
    [InlineData("IncorrectState", "Network interface 'eni-1' is not in the correct state", 400, "Conflict")]
    [InlineData("InvalidNetworkInterface.NotFound", "", 400, "NotFound")]
    [InlineData("IncorrectState", "", 400, "Conflict")]
    [InlineData("IncorrectInstanceState", "", 400, "Conflict")]
    [InlineData("DependencyViolation", "", 400, "Conflict")]
    [InlineData("InvalidParameterValue", "Instance 'i-1' already has an interface attached at device index '1'.", 400, "Conflict")]
    [InlineData("InvalidParameterValue", "Network interface 'eni-1' is currently in use.", 400, "Conflict")]
    [InlineData("InternalError", "An internal error has occurred", 500, "Transient")]
    [InlineData("Unavailable", "", 503, "Transient")]
    [InlineData("ServiceUnavailable", "", 503, "Transient")]
    [InlineData("SomethingNew", "", 502, "Transient")]
    [InlineData("RequestExpired", "Request has expired.", 400, "Transient")]
    [InlineData("InvalidSecurity.RequestHasExpired", "", 400, "Transient")]
    [InlineData("Server.InternalError", "", 500, "Transient")]
    [InlineData("InvalidParameterValue", "Invalid availability zone", 400, "Invalid")]
    [InlineData("InvalidParameterCombination", "", 400, "Invalid")]
    [InlineData("MissingParameter", "", 400, "Invalid")]
    [InlineData("FilterLimitExceeded", "", 400, "Invalid")]
    [InlineData("InvalidNextToken", "", 400, "Invalid")]
    [InlineData("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.", 400, "Invalid")]
    [InlineData("InvalidNetworkInterfaceID.Malformed", "", 400, "Invalid")]
    [InlineData("InvalidInstanceType", "", 400, "Invalid")]
    [InlineData("IdempotentParameterMismatch", "", 400, "Invalid")]
    [InlineData("OperationNotPermitted", "The network interface at device index 0 cannot be detached.", 400, "Invalid")]
    [InlineData("SomethingNew", "Nobody knows", 400, "Unknown")]
    public void Code_message_and_status_determine_the_kind(string code, string message, int status, string expected) =>
        Assert.Equal(Enum.Parse<CloudErrorKind>(expected), Ec2ErrorCodes.Classify(code, message, (HttpStatusCode)status));

    [Theory]
    [InlineData(Ec2ErrorCodes.NoAnswer, "Transient", false)]
    [InlineData(Ec2ErrorCodes.NoConnection, "Transient", true)]
    [InlineData(Ec2ErrorCodes.UnreadableAnswer, "Transient", false)]
    [InlineData(Ec2ErrorCodes.CredentialsUnavailable, "NotPermitted", false)]
    [InlineData("RequestExpired", "Transient", true)]
    [InlineData("InternalError", "Transient", false)]
    public void Own_codes_have_a_kind_and_show_whether_the_call_was_executed(string code, string kind, bool notExecuted)
    {
        Assert.Equal(Enum.Parse<CloudErrorKind>(kind), Ec2ErrorCodes.Classify(code, "", null));
        Assert.Equal(notExecuted, Ec2ErrorCodes.WasNotExecuted(code));
    }

    [Fact]
    public void Unassign_of_a_foreign_address_is_recognized()
    {
        var failure = new CloudException(
            CloudErrorKind.Invalid,
            "UnassignPrivateIpAddresses",
            "InvalidParameterValue",
            "Some of the specified addresses are not assigned to interface eni-1"
        );

        Assert.True(Ec2ErrorCodes.IsNotAssigned(failure));
        Assert.False(
            Ec2ErrorCodes.IsNotAssigned(new CloudException(CloudErrorKind.Throttled, "X", "Throttling", "not assigned to interface"))
        );
        Assert.False(Ec2ErrorCodes.IsNotAssigned(new CloudException(CloudErrorKind.Invalid, "X", "InvalidParameterValue", "bad address")));
    }
}
