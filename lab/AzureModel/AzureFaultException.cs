// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.AzureModel;

/// <summary>
/// An error response of Azure Resource Manager: HTTP status, code and message of its JSON body
/// (https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors). A failure of an asynchronous
/// operation is an <see cref="AzureError"/> instead.
/// </summary>
public sealed class AzureFaultException : Exception
{
    public AzureFaultException(HttpStatusCode status, string code, string message)
        : base(message)
    {
        Status = status;
        Code = code;
    }

    public HttpStatusCode Status { get; }

    public string Code { get; }

    /// <summary>When the client may retry (header <c>Retry-After</c>); null if the response does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The cause of a <c>RetryableError</c>; null for none.</summary>
    public AzureError? Detail { get; init; }

    public override string ToString() => $"{(int)Status} {Code}: {Message}";
}

/// <summary>Code and message of an error, for example why an operation failed.</summary>
public sealed record AzureError(string Code, string Message);

/// <summary>Creates the errors that the model returns.</summary>
public static class AzureFaults
{
    public static AzureFaultException NotFound(string type, string name, string group) =>
        new(
            HttpStatusCode.NotFound,
            "ResourceNotFound",
            $"The Resource '{type}/{name}' under resource group '{group}' was not found. For more details please go to "
                + "https://aka.ms/ARMResourceNotFoundFix"
        );

    /// <summary>A child resource, such as a route or a subnet, does not exist.</summary>
    public static AzureFaultException ChildNotFound(string id) => new(HttpStatusCode.NotFound, "NotFound", $"Resource {id} not found.");

    public static AzureFaultException GroupNotFound(string group) =>
        new(HttpStatusCode.NotFound, "ResourceGroupNotFound", $"Resource group '{group}' could not be found.");

    public static AzureFaultException SubscriptionNotFound(string subscription) =>
        new(HttpStatusCode.NotFound, "SubscriptionNotFound", $"The subscription '{subscription}' could not be found.");

    public static AzureFaultException Malformed(string message) => Bad("InvalidRequestContent", message);

    public static AzureFaultException InvalidFormat(string message) => Bad("InvalidRequestFormat", message);

    public static AzureFaultException Bad(string code, string message) => new(HttpStatusCode.BadRequest, code, message);

    public static AzureFaultException InvalidReference(string id, string by) =>
        Bad("InvalidResourceReference", $"Resource {id} referenced by resource {by} was not found.");

    public static AzureFaultException StaleTag(string given, string current, string id) =>
        new(
            HttpStatusCode.PreconditionFailed,
            "PreconditionFailed",
            $"Precondition failed. Etag provided in if-match header {given} does not match etag {current} of "
                + $"resource {id} in NRP data store."
        );

    public static AzureFaultException Busy(string operation) =>
        new(
            HttpStatusCode.Conflict,
            "AnotherOperationInProgress",
            "Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: " + operation
        );

    public static AzureFaultException SubnetFull(AzureSubnet subnet, int count) =>
        Bad(
            "SubnetIsFull",
            $"Subnet {subnet.Name} with address prefix {subnet.Range} does not have enough capacity for {count} IP addresses."
        );

    public static AzureFaultException AddressInUse(IPNetwork address, string configuration) =>
        Bad(
            "PrivateIPAddressInUse",
            $"IP configuration {configuration} is using the private IP address {Text(address)} which is already allocated."
        );

    public static AzureFaultException AddressOutside(IPNetwork address, AzureSubnet subnet, string configuration) =>
        Bad(
            "PrivateIPAddressNotInSubnet",
            $"Private static IP address {Text(address)} does not belong to the range of subnet prefix {subnet.Range} of IP configuration "
                + $"{configuration}."
        );

    public static AzureFaultException DifferentSubnets(string nic, bool isScaleSet) =>
        Bad(
            $"{(isScaleSet ? "VMScaleSet" : "")}IpConfigurationsOnSameNicCannotUseDifferentSubnets",
            $"IP configurations of network interface {nic} use different subnets."
        );

    public static AzureFaultException SubnetInUse(string subnet, string user) =>
        Bad(
            "InUseSubnetCannotBeDeleted",
            $"Subnet {subnet} is in use by {user} and cannot be deleted. In order to delete the subnet, delete all the resources within "
                + "the subnet. See aka.ms/deletesubnet."
        );

    public static AzureFaultException NotAllowed(string message) => new(HttpStatusCode.Conflict, "OperationNotAllowed", message);

    public static AzureFaultException TooManyRequests(TimeSpan retryAfter) =>
        new(
            HttpStatusCode.TooManyRequests,
            "TooManyRequests",
            "The request is being throttled as the limit has been reached for the subscription."
        )
        {
            RetryAfter = retryAfter,
        };

    /// <summary>An address by itself, or a block with its length.</summary>
    private static string Text(IPNetwork range) => range.PrefixLength == 32 ? $"{range.BaseAddress}" : range.ToString();
}
