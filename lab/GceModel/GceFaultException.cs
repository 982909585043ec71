// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.GceModel;

/// <summary>
/// An error response of the Compute Engine API: HTTP status, <c>reason</c> and message of its JSON body
/// (https://cloud.google.com/compute/docs/troubleshooting/api-errors). A failure of an operation is a <see cref="GceOperationError"/>
/// instead.
/// </summary>
public sealed class GceFaultException : Exception
{
    public GceFaultException(HttpStatusCode status, string reason, string message, string? location = null)
        : base(message)
    {
        Status = status;
        Reason = reason;
        Location = location;
    }

    public HttpStatusCode Status { get; }

    /// <summary>The error's reason, for example <c>conditionNotMet</c>.</summary>
    public string Reason { get; }

    /// <summary>The header that the error is about, for example <c>If-Match</c>; null for none.</summary>
    public string? Location { get; }

    /// <summary>The error's domain: <c>usageLimits</c> for quotas and rate limits, else <c>global</c>.</summary>
    public string Domain =>
        Reason is "rateLimitExceeded" or "userRateLimitExceeded" or "quotaExceeded" or "limitExceeded" ? "usageLimits" : "global";

    public override string ToString() => $"{(int)Status} {Reason}: {Message}";
}

/// <summary>Why an operation failed, for example <c>IP_SPACE_EXHAUSTED_WITH_DETAILS</c>.</summary>
public sealed record GceOperationError(string Code, string Message);

/// <summary>Creates the errors that the model returns.</summary>
public static class GceFaults
{
    public static GceFaultException NotFound(string resource) =>
        new(HttpStatusCode.NotFound, "notFound", $"The resource '{resource}' was not found");

    public static GceFaultException AlreadyExists(string resource) =>
        new(HttpStatusCode.Conflict, "alreadyExists", $"The resource '{resource}' already exists");

    public static GceFaultException Invalid(string field, string? value, string problem) =>
        new(HttpStatusCode.BadRequest, "invalid", $"Invalid value for field '{field}': '{value}'. {problem}");

    public static GceFaultException InvalidParameter(string name, string value, string problem) =>
        new(HttpStatusCode.BadRequest, "invalidParameter", $"Invalid value '{value}'. {problem}", name);

    public static GceFaultException Required(string name) =>
        new(HttpStatusCode.BadRequest, "required", $"Required field '{name}' not specified", name);

    /// <summary>The request's fingerprint is missing or is not the current one.</summary>
    public static GceFaultException StaleFingerprint() =>
        new(HttpStatusCode.PreconditionFailed, "conditionNotMet", "Supplied fingerprint does not match current fingerprint.", "If-Match");

    /// <summary>An operation on the resource is not done.</summary>
    public static GceFaultException NotReady(string resource) =>
        new(HttpStatusCode.BadRequest, "resourceNotReady", $"The resource '{resource}' is not ready");

    public static GceFaultException InUse(string resource, string user) =>
        new(HttpStatusCode.BadRequest, "resourceInUseByAnotherResource", $"The resource '{resource}' is already being used by '{user}'");

    public static GceFaultException LimitExceeded(string limit, string resource, int value) =>
        new(HttpStatusCode.Forbidden, "limitExceeded", $"Exceeded limit '{limit}' on resource '{resource}'. Limit: {value}.0");

    public static GceFaultException QuotaExceeded(string metric, int limit) =>
        new(HttpStatusCode.Forbidden, "quotaExceeded", $"Quota '{metric}' exceeded. Limit: {limit}.0 globally.");

    public static GceFaultException RateLimited() => new(HttpStatusCode.Forbidden, "rateLimitExceeded", "Rate Limit Exceeded");

    public static GceFaultException Forbidden(string permission, string resource) =>
        new(HttpStatusCode.Forbidden, "forbidden", $"Required '{permission}' permission for '{resource}'");

    public static GceOperationError SpaceExhausted(string range) =>
        new("IP_SPACE_EXHAUSTED_WITH_DETAILS", $"IP space of '{range}' is exhausted.");

    public static GceOperationError AddressInUse(IPNetwork range) =>
        new("IP_IN_USE_BY_ANOTHER_RESOURCE", $"IP '{range}' is already being used by another resource.");
}
