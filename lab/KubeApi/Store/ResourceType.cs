// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>A kind of object in a version of the API.</summary>
internal sealed record ResourceType
{
    /// <summary>The API group; empty for the core group.</summary>
    public string Group { get; init; } = "";

    public required string Version { get; init; }

    /// <summary>Name in paths, such as <c>nodes</c>.</summary>
    public required string Plural { get; init; }

    public required string Singular { get; init; }

    public required string Kind { get; init; }

    public string ListKind
    {
        get => field ?? Kind + "List";
        init;
    }

    /// <summary>Whether objects are in namespaces; otherwise they are cluster-scoped.</summary>
    public bool Namespaced { get; init; }

    /// <summary>Whether there is a subresource <c>status</c>. Writes of the object then do not change the status, and vice versa.</summary>
    public bool HasStatus { get; init; }

    public IReadOnlyList<string> ShortNames { get; init; } = [];

    public IReadOnlyList<string> Categories { get; init; } = [];

    /// <summary>Fields that a field selector can use, besides <c>metadata.name</c> and <c>metadata.namespace</c>.</summary>
    public FrozenSet<string> SelectableFields { get; init; } = [];

    public IReadOnlyList<PrinterColumn> Columns { get; init; } = [PrinterColumn.Name, PrinterColumn.Age];

    /// <summary>
    /// Whether a CustomResourceDefinition defines the kind. It then has a schema, does not support strategic merge, and requires a
    /// resourceVersion for an update.
    /// </summary>
    public bool IsCustom { get; init; }

    /// <summary>Structural schema (OpenAPI v3) of a custom resource's version.</summary>
    public JsonObject? Schema { get; init; }

    /// <summary>
    /// Conversion between stored objects and objects of this version; null if they differ at most in <c>apiVersion</c> and <c>kind</c>.
    /// </summary>
    public ObjectConversion? Conversion { get; init; }

    public string ApiVersion => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary>Name in messages: <c>nodes</c>, <c>eniconfigs.crd.k8s.amazonaws.com</c>.</summary>
    public string GroupResource => Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    /// <summary>Kind in messages: <c>Node</c>, <c>ENIConfig.crd.k8s.amazonaws.com</c>.</summary>
    public string QualifiedKind => Group.Length == 0 ? Kind : $"{Kind}.{Group}";

    /// <summary>Name of the storage. All versions share it; two groups share it if they have the same objects, as events do.</summary>
    public string Storage
    {
        get => field ?? GroupResource;
        init;
    }

    public IReadOnlyList<string> Verbs { get; } = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
}

/// <summary>Converts a stored object to a version and back. Both functions may change their argument, which is a copy.</summary>
internal sealed record ObjectConversion(Func<JsonObject, JsonObject> FromStored, Func<JsonObject, JsonObject> ToStored);

/// <summary>A column of <c>kubectl get</c>, which the server computes.</summary>
/// <param name="Title">The heading.</param>
/// <param name="Type">OpenAPI type of the cells.</param>
/// <param name="Priority">0 for a column that is always shown; higher for <c>-o wide</c>.</param>
/// <param name="Cell">Returns an object's cell at a time.</param>
internal sealed record PrinterColumn(string Title, string Type, int Priority, Func<JsonObject, DateTimeOffset, JsonNode?> Cell)
{
    public static PrinterColumn Name { get; } = new("Name", "string", 0, (o, _) => o.Meta()["name"]?.DeepClone()) { Format = "name" };

    public static PrinterColumn Age { get; } =
        new("Age", "string", 0, (o, now) => HumanDuration.Since(o.Text("metadata", "creationTimestamp"), now));

    public string Format { get; init; } = "";

    public string Description { get; init; } = "";
}
