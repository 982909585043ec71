// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using k8s;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>Lists and watches ENIConfigs.</summary>
internal sealed class KubernetesEniConfigs(KubernetesConnection connection) : IObjectSource<EniConfigFacts>
{
    private const string Group = "crd.k8s.amazonaws.com";
    private const string ApiVersion = "v1alpha1";
    private const string Plural = "eniconfigs";

    private static readonly WatchedResource Resource = new("ENIConfig", $"apis/{Group}/{ApiVersion}/{Plural}");

    public Task<ListedObject<EniConfigFacts>> ListAsync(string name, string version, CancellationToken cancellationToken) =>
        connection.CallAsync(
            $"list ENIConfig {name}",
            async client =>
            {
                var list = Json(
                    await client.CustomObjects.ListClusterCustomObjectAsync(
                        Group,
                        ApiVersion,
                        Plural,
                        fieldSelector: KubernetesWatch.SelectorOf(name),
                        resourceVersion: version.Length > 0 ? version : null,
                        cancellationToken: cancellationToken
                    )
                );
                var found = Member(list, "items") is { ValueKind: JsonValueKind.Array } items
                    ? items.EnumerateArray().Where(item => Text(item, "metadata", "name") == name).Select(FactsOf).FirstOrDefault()
                    : null;
                return new ListedObject<EniConfigFacts>(found, KubernetesWatch.VersionOf(Text(list, "metadata", "resourceVersion")));
            },
            cancellationToken
        );

    public Task WatchAsync(
        string name,
        string version,
        TimeSpan duration,
        Action<ObjectEvent<EniConfigFacts>> onEvent,
        CancellationToken cancellationToken
    ) =>
        KubernetesWatch.FollowAsync<JsonElement, EniConfigFacts>(
            connection,
            Resource,
            name,
            version,
            item => EventOf(item, name),
            onEvent,
            duration,
            cancellationToken
        );

    internal static EniConfigFacts FactsOf(JsonElement item)
    {
        var groups = Member(Member(item, "spec"), "securityGroups");
        return new EniConfigFacts(
            Text(item, "spec", "subnet") ?? "",
            groups is { ValueKind: JsonValueKind.Array } list
                ? [.. list.EnumerateArray().Where(group => group.ValueKind == JsonValueKind.String).Select(group => group.GetString()!)]
                : []
        );
    }

    private static ObjectEvent<EniConfigFacts> EventOf(JsonElement item, string name)
    {
        var version = KubernetesWatch.VersionOf(Text(item, "metadata", "resourceVersion"));
        return Text(item, "metadata", "name") == name
            ? new ObjectEvent<EniConfigFacts>(FactsOf(item), version, IsBookmark: false)
            : new ObjectEvent<EniConfigFacts>(null, version, IsBookmark: true);
    }

    private static JsonElement Json(object item) => item is JsonElement element ? element : throw new JsonException("not an object");

    private static string? Text(JsonElement item, string outer, string inner) =>
        Member(Member(item, outer), inner) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static JsonElement? Member(JsonElement? item, string name) =>
        item is { ValueKind: JsonValueKind.Object } element && element.TryGetProperty(name, out var member) ? member : null;
}
