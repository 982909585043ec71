// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>A path of objects: <c>/api/v1/...</c> or <c>/apis/GROUP/VERSION/...</c>.</summary>
/// <param name="Namespace">The namespace; null if the path has none, which selects all.</param>
/// <param name="Name">The object's name; null for the collection.</param>
/// <param name="Subresource">The subresource; empty for none.</param>
internal sealed record KubeRoute(string Group, string Version, string? Namespace, string Plural, string? Name, string Subresource)
{
    /// <summary>Parses a path; null if it is not a path of objects.</summary>
    public static KubeRoute? Parse(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return parts switch
        {
            ["api", var version, .. var rest] => Parse("", version, rest),
            ["apis", var group, var version, .. var rest] => Parse(group, version, rest),
            _ => null,
        };
    }

    private static KubeRoute? Parse(string group, string version, string[] rest) =>
        rest switch
        {
            // A namespace and its status come before the objects in a namespace, whose paths have the same prefix.
            ["namespaces"] => new(group, version, Namespace: null, "namespaces", Name: null, ""),
            ["namespaces", var name] => new(group, version, Namespace: null, "namespaces", name, ""),
            ["namespaces", var name, WriteOptions.Status or "finalize"] => new(
                group,
                version,
                Namespace: null,
                "namespaces",
                name,
                rest[2]
            ),
            ["namespaces", var ns, var plural] => new(group, version, ns, plural, Name: null, ""),
            ["namespaces", var ns, var plural, var name] => new(group, version, ns, plural, name, ""),
            ["namespaces", var ns, var plural, var name, var sub] => new(group, version, ns, plural, name, sub),
            [var plural] => new(group, version, Namespace: null, plural, Name: null, ""),
            [var plural, var name] => new(group, version, Namespace: null, plural, name, ""),
            [var plural, var name, var sub] => new(group, version, Namespace: null, plural, name, sub),
            _ => null,
        };
}

/// <summary>Verb and resource of a request, as in RBAC rules.</summary>
/// <param name="Verb">
/// <c>get</c>, <c>list</c>, <c>watch</c>, <c>create</c>, <c>update</c>, <c>patch</c>, <c>delete</c> or <c>deletecollection</c>.
/// </param>
/// <param name="Resource">
/// <c>nodes</c>, <c>nodes/status</c>, <c>eniconfigs.crd.k8s.amazonaws.com</c>; for other requests the path, such as <c>/version</c>.
/// </param>
internal readonly record struct KubeCall(string Verb, string Resource)
{
    public static KubeCall Of(HttpRequest request, KubeRoute? route)
    {
        if (route is null)
            return new KubeCall("get", request.Path.Value ?? "/");
        var resource = route.Group.Length == 0 ? route.Plural : $"{route.Plural}.{route.Group}";
        if (route.Subresource.Length > 0)
            resource += "/" + route.Subresource;
        var verb = request.Method switch
        {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => route.Name is null ? "deletecollection" : "delete",
            _ => IsWatch(request.Query) ? "watch"
            : route.Name is null ? "list"
            : "get",
        };
        return new KubeCall(verb, resource);
    }

    public override string ToString() => $"{Verb} {Resource}";

    private static bool IsWatch(IQueryCollection query) => query["watch"].ToString() is "1" or "true";
}
