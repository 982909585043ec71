// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.AzureModel;

/// <summary>
/// Error codes that Azure returns for the lab's methods, with their HTTP status. Faults with other codes are rejected by default, because
/// Azure never returns them.
/// </summary>
public static class AzureErrorCodes
{
    public static IReadOnlyDictionary<string, HttpStatusCode> All { get; } =
        new Dictionary<string, HttpStatusCode>(StringComparer.Ordinal)
        {
            ["AnotherOperationInProgress"] = HttpStatusCode.Conflict,
            ["AuthorizationFailed"] = HttpStatusCode.Forbidden,
            ["CanceledAndSupersededDueToAnotherOperation"] = HttpStatusCode.Conflict,
            ["ExpiredAuthenticationToken"] = HttpStatusCode.Unauthorized,
            ["GatewayTimeout"] = HttpStatusCode.GatewayTimeout,
            ["InUseSubnetCannotBeDeleted"] = HttpStatusCode.BadRequest,
            ["InternalServerError"] = HttpStatusCode.InternalServerError,
            ["InvalidAuthenticationToken"] = HttpStatusCode.Unauthorized,
            ["InvalidRequestContent"] = HttpStatusCode.BadRequest,
            ["InvalidRequestFormat"] = HttpStatusCode.BadRequest,
            ["InvalidResourceReference"] = HttpStatusCode.BadRequest,
            ["IpConfigurationsOnSameNicCannotUseDifferentSubnets"] = HttpStatusCode.BadRequest,
            ["LinkedAuthorizationFailed"] = HttpStatusCode.Forbidden,
            ["NetworkingInternalOperationError"] = HttpStatusCode.InternalServerError,
            ["NotFound"] = HttpStatusCode.NotFound,
            ["OperationNotAllowed"] = HttpStatusCode.Conflict,
            ["OperationPreempted"] = HttpStatusCode.Conflict,
            ["PreconditionFailed"] = HttpStatusCode.PreconditionFailed,
            ["PrivateIPAddressInUse"] = HttpStatusCode.BadRequest,
            ["PrivateIPAddressNotInSubnet"] = HttpStatusCode.BadRequest,
            ["ResourceGroupNotFound"] = HttpStatusCode.NotFound,
            ["ResourceNotFound"] = HttpStatusCode.NotFound,
            ["RetryableError"] = HttpStatusCode.TooManyRequests,
            ["ScopeLocked"] = HttpStatusCode.Conflict,
            ["ServerTimeout"] = HttpStatusCode.ServiceUnavailable,
            ["ServiceUnavailable"] = HttpStatusCode.ServiceUnavailable,
            ["SubnetIsFull"] = HttpStatusCode.BadRequest,
            ["TooManyRequests"] = HttpStatusCode.TooManyRequests,
            ["VMScaleSetIpConfigurationsOnSameNicCannotUseDifferentSubnets"] = HttpStatusCode.BadRequest,
        };
}
