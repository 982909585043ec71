// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.GceModel;

/// <summary>
/// Errors that Compute Engine returns for the lab's methods. Reasons are of error responses, codes of failed operations; faults with others
/// are rejected by default, because GCE never returns them.
/// </summary>
public static class GceErrorCodes
{
    /// <summary>HTTP status by reason.</summary>
    public static IReadOnlyDictionary<string, HttpStatusCode> Reasons { get; } =
        new Dictionary<string, HttpStatusCode>(StringComparer.Ordinal)
        {
            ["accessNotConfigured"] = HttpStatusCode.Forbidden,
            ["alreadyExists"] = HttpStatusCode.Conflict,
            ["authError"] = HttpStatusCode.Unauthorized,
            ["backendError"] = HttpStatusCode.ServiceUnavailable,
            ["badRequest"] = HttpStatusCode.BadRequest,
            ["conditionNotMet"] = HttpStatusCode.PreconditionFailed,
            ["forbidden"] = HttpStatusCode.Forbidden,
            ["internalError"] = HttpStatusCode.InternalServerError,
            ["invalid"] = HttpStatusCode.BadRequest,
            ["invalidParameter"] = HttpStatusCode.BadRequest,
            ["limitExceeded"] = HttpStatusCode.Forbidden,
            ["notFound"] = HttpStatusCode.NotFound,
            ["quotaExceeded"] = HttpStatusCode.Forbidden,
            ["rateLimitExceeded"] = HttpStatusCode.Forbidden,
            ["required"] = HttpStatusCode.BadRequest,
            ["resourceInUseByAnotherResource"] = HttpStatusCode.BadRequest,
            ["resourceNotReady"] = HttpStatusCode.BadRequest,
            ["tooManyRequests"] = HttpStatusCode.TooManyRequests,
            ["userRateLimitExceeded"] = HttpStatusCode.Forbidden,
        };

    /// <summary>Codes of failed operations.</summary>
    public static IReadOnlyList<string> OperationCodes { get; } =
    [
        "CONDITION_NOT_MET",
        "INTERNAL_ERROR",
        "INVALID_USAGE",
        "IP_IN_USE_BY_ANOTHER_RESOURCE",
        "IP_SPACE_EXHAUSTED",
        "IP_SPACE_EXHAUSTED_WITH_DETAILS",
        "QUOTA_EXCEEDED",
        "RATE_LIMIT_EXCEEDED",
        "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE",
        "RESOURCE_NOT_FOUND",
        "RESOURCE_NOT_READY",
        "RESOURCE_OPERATION_RATE_EXCEEDED",
    ];

    /// <summary>HTTP status that a failed operation reports (<c>httpErrorStatusCode</c>).</summary>
    public static HttpStatusCode StatusOfOperation(string code) =>
        code switch
        {
            "CONDITION_NOT_MET" => HttpStatusCode.PreconditionFailed,
            "INTERNAL_ERROR" => HttpStatusCode.InternalServerError,
            "QUOTA_EXCEEDED" or "RATE_LIMIT_EXCEEDED" => HttpStatusCode.Forbidden,
            "RESOURCE_NOT_FOUND" => HttpStatusCode.NotFound,
            "RESOURCE_OPERATION_RATE_EXCEEDED" => HttpStatusCode.ServiceUnavailable,
            _ => HttpStatusCode.BadRequest,
        };
}
