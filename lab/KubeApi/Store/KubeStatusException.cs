// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// An error of the Kubernetes API: an HTTP status, a machine-readable reason and a message, which form a <c>Status</c> object
/// (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/).
/// </summary>
internal sealed class KubeStatusException(HttpStatusCode code, string reason, string message) : Exception(message)
{
    public HttpStatusCode Code { get; } = code;

    public string Reason { get; } = reason;

    /// <summary>The object and causes of the error, for kubectl and client libraries.</summary>
    public JsonObject? Details { get; init; }

    /// <summary>Value of the Retry-After header, sent in whole seconds.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Returns the Status object, for the response's body and for the ERROR event of a watch.</summary>
    public JsonObject ToStatus()
    {
        var status = new JsonObject
        {
            ["kind"] = "Status",
            ["apiVersion"] = "v1",
            ["metadata"] = new JsonObject(),
            ["status"] = "Failure",
            ["message"] = Message,
            ["reason"] = Reason,
            ["code"] = (int)Code,
        };
        var details = Details?.DeepClone() as JsonObject;
        if (RetryAfter is { } wait)
            (details ??= [])["retryAfterSeconds"] = Math.Max(1, (int)wait.TotalSeconds);
        if (details is not null)
            status["details"] = details;
        return status;
    }

    public static KubeStatusException NotFound(ResourceType type, string name) =>
        new(HttpStatusCode.NotFound, "NotFound", $"{type.GroupResource} \"{name}\" not found") { Details = About(type, name) };

    /// <summary>The path does not exist.</summary>
    public static KubeStatusException NoSuchPath() =>
        new(HttpStatusCode.NotFound, "NotFound", "the server could not find the requested resource") { Details = [] };

    public static KubeStatusException AlreadyExists(ResourceType type, string name) =>
        new(HttpStatusCode.Conflict, "AlreadyExists", $"{type.GroupResource} \"{name}\" already exists") { Details = About(type, name) };

    /// <summary>The caller's resourceVersion or uid differs from the object's.</summary>
    public static KubeStatusException Conflict(ResourceType type, string name, string why) =>
        new(HttpStatusCode.Conflict, "Conflict", $"Operation cannot be fulfilled on {type.GroupResource} \"{name}\": {why}")
        {
            Details = About(type, name),
        };

    public static KubeStatusException Modified(ResourceType type, string name) =>
        Conflict(type, name, "the object has been modified; please apply your changes to the latest version and try again");

    /// <summary>The object violates a rule of its kind.</summary>
    public static KubeStatusException Invalid(ResourceType type, string name, params IReadOnlyList<FieldProblem> problems)
    {
        var details = About(type, name);
        details["causes"] = new JsonArray([
            .. problems.Select(problem => new JsonObject
            {
                ["reason"] = problem.Reason,
                ["message"] = problem.Message,
                ["field"] = problem.Field,
            }),
        ]);
        var text = problems.Count == 1 ? problems[0].ToString() : $"[{string.Join(", ", problems)}]";
        return new KubeStatusException(HttpStatusCode.UnprocessableEntity, "Invalid", $"{type.QualifiedKind} \"{name}\" is invalid: {text}")
        {
            Details = details,
        };
    }

    public static KubeStatusException BadRequest(string message) => new(HttpStatusCode.BadRequest, "BadRequest", message);

    public static KubeStatusException MethodNotAllowed(string what) =>
        new(HttpStatusCode.MethodNotAllowed, "MethodNotAllowed", $"{what} is not supported on resources of this kind") { Details = [] };

    public static KubeStatusException UnsupportedMediaType(string message) =>
        new(HttpStatusCode.UnsupportedMediaType, "UnsupportedMediaType", message);

    /// <summary>
    /// A resourceVersion or continue token is older than the server's history; the caller must list again.
    /// </summary>
    public static KubeStatusException Expired(string message) => new(HttpStatusCode.Gone, "Expired", message);

    public static KubeStatusException TooManyRequests(string message, TimeSpan? retryAfter = null) =>
        new(HttpStatusCode.TooManyRequests, "TooManyRequests", message) { RetryAfter = retryAfter ?? TimeSpan.FromSeconds(1) };

    private static JsonObject About(ResourceType type, string name)
    {
        var details = new JsonObject { ["name"] = name };
        if (type.Group.Length > 0)
            details["group"] = type.Group;
        details["kind"] = type.Plural;
        return details;
    }
}

/// <summary>A rule that an object violates.</summary>
/// <param name="Field">Path of the field, such as <c>spec.subnet</c>.</param>
/// <param name="Reason"><c>FieldValueRequired</c>, <c>FieldValueInvalid</c>, <c>FieldValueTypeInvalid</c>, ...</param>
/// <param name="Message">The message, which starts with the kind of problem as text.</param>
internal sealed record FieldProblem(string Field, string Reason, string Message)
{
    public override string ToString() => $"{Field}: {Message}";

    public static FieldProblem Required(string field, string why = "") =>
        new(field, "FieldValueRequired", why.Length == 0 ? "Required value" : $"Required value: {why}");

    public static FieldProblem Invalid(string field, string value, string why) =>
        new(field, "FieldValueInvalid", $"Invalid value: \"{value}\": {why}");

    public static FieldProblem WrongType(string field, string value, string why) =>
        new(field, "FieldValueTypeInvalid", $"Invalid value: \"{value}\": {why}");
}
