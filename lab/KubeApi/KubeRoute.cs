// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>The parts of a path that names objects: <c>/api/v1/...</c> or <c>/apis/GROUP/VERSION/...</c>.</summary>
/// <param name="Namespace">Null: none in the path, so all of them.</param>
/// <param name="Name">Null: the whole collection.</param>
/// <param name="Subresource">Empty for none.</param>
internal sealed record KubeRoute(string Group, string Version, string? Namespace, string Plural, string? Name, string Subresource)
{
    /// <summary>Null for a path that names no objects.</summary>
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
            // A namespace itself and its status, before the objects in a namespace, whose paths begin the same way.
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

/// <summary>What a request wants with which objects; the words are those of RBAC rules.</summary>
/// <param name="Verb">
/// <c>get</c>, <c>list</c>, <c>watch</c>, <c>create</c>, <c>update</c>, <c>patch</c>, <c>delete</c> or <c>deletecollection</c>.
/// </param>
/// <param name="Resource">
/// <c>nodes</c>, <c>nodes/status</c>, <c>eniconfigs.crd.k8s.amazonaws.com</c>; a path such as <c>/version</c> when it is about no objects.
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
