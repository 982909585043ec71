// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>A kind of object in one version of the API.</summary>
internal sealed record ResourceType
{
    /// <summary>Empty for the core group.</summary>
    public string Group { get; init; } = "";

    public required string Version { get; init; }

    /// <summary>The name in paths: <c>nodes</c>.</summary>
    public required string Plural { get; init; }

    public required string Singular { get; init; }

    public required string Kind { get; init; }

    public string ListKind
    {
        get => field ?? Kind + "List";
        init;
    }

    /// <summary>Lives in a namespace; otherwise in the cluster.</summary>
    public bool Namespaced { get; init; }

    /// <summary>Has a subresource <c>status</c> of its own: writes to the object leave the status alone, and the other way round.</summary>
    public bool HasStatus { get; init; }

    public IReadOnlyList<string> ShortNames { get; init; } = [];

    public IReadOnlyList<string> Categories { get; init; } = [];

    /// <summary>Fields that a field selector may name, besides <c>metadata.name</c> and <c>metadata.namespace</c>.</summary>
    public FrozenSet<string> SelectableFields { get; init; } = [];

    public IReadOnlyList<PrinterColumn> Columns { get; init; } = [PrinterColumn.Name, PrinterColumn.Age];

    /// <summary>
    /// Defined by a CustomResourceDefinition: has a schema, knows no strategic merge, demands a resourceVersion for an update.
    /// </summary>
    public bool IsCustom { get; init; }

    /// <summary>Structural schema (OpenAPI v3) of a custom resource's version.</summary>
    public JsonObject? Schema { get; init; }

    /// <summary>
    /// How stored objects and objects of this version become each other; null when they differ in <c>apiVersion</c> and <c>kind</c> at
    /// most.
    /// </summary>
    public ObjectConversion? Conversion { get; init; }

    public string ApiVersion => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary>As in messages: <c>nodes</c>, <c>eniconfigs.crd.k8s.amazonaws.com</c>.</summary>
    public string GroupResource => Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    /// <summary>As in messages: <c>Node</c>, <c>ENIConfig.crd.k8s.amazonaws.com</c>.</summary>
    public string QualifiedKind => Group.Length == 0 ? Kind : $"{Kind}.{Group}";

    /// <summary>Which objects these are, whatever the version: two groups may show the same objects, as both kinds of events do.</summary>
    public string Storage
    {
        get => field ?? GroupResource;
        init;
    }

    public IReadOnlyList<string> Verbs { get; } = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
}

/// <summary>Changes a stored object into one of a version, and back. Both get a copy that is theirs to change.</summary>
internal sealed record ObjectConversion(Func<JsonObject, JsonObject> FromStored, Func<JsonObject, JsonObject> ToStored);

/// <summary>A column of <c>kubectl get</c>, computed by the server.</summary>
/// <param name="Title">Its heading.</param>
/// <param name="Type">OpenAPI type of its cells.</param>
/// <param name="Priority">0: always shown; higher: with <c>-o wide</c>.</param>
/// <param name="Cell">The value for an object, now.</param>
internal sealed record PrinterColumn(string Title, string Type, int Priority, Func<JsonObject, DateTimeOffset, JsonNode?> Cell)
{
    public static PrinterColumn Name { get; } = new("Name", "string", 0, (o, _) => o.Meta()["name"]?.DeepClone()) { Format = "name" };

    public static PrinterColumn Age { get; } =
        new("Age", "string", 0, (o, now) => HumanDuration.Since(o.Text("metadata", "creationTimestamp"), now));

    public string Format { get; init; } = "";

    public string Description { get; init; } = "";
}
