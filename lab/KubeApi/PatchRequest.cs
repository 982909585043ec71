// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>Selects the kind of a patch by the media type of the request.</summary>
internal static class PatchRequest
{
    /// <summary>
    /// Whether a request is a server-side apply. Its body is YAML; this server accepts only the JSON subset, which kubectl and client
    /// libraries send.
    /// </summary>
    public static bool IsApply(string? contentType) => contentType?.Split(';')[0].Trim() is "application/apply-patch+yaml";

    /// <summary>Returns a function that applies the patch to an object.</summary>
    /// <exception cref="KubeStatusException">415: the resource does not support this kind of patch; 400: the patch is invalid.</exception>
    public static Func<JsonObject, JsonObject> Read(ResourceType type, string? contentType, JsonNode? patch)
    {
        var mediaType = contentType?.Split(';')[0].Trim() ?? "";
        switch (mediaType)
        {
            case "application/json-patch+json":
                return target => JsonPatch.Apply(target, patch);
            case "application/merge-patch+json":
                return target => MergePatch.Apply(target, Object(patch));
            case "application/strategic-merge-patch+json" when !type.IsCustom:
                return target => StrategicMerge.Apply(target, Object(patch));
            default:
                var accepted = type.IsCustom
                    ? "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
                    : "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, "
                        + "application/apply-patch+yaml";
                throw KubeStatusException.UnsupportedMediaType(
                    $"the body of the request was in an unknown format - accepted media types include: {accepted}; got '{mediaType}'"
                );
        }
    }

    private static JsonObject Object(JsonNode? patch) =>
        patch as JsonObject ?? throw KubeStatusException.BadRequest("a merge patch must be an object");
}
