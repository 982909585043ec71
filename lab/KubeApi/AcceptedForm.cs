// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>Form of objects in a response: whole objects, rows of a table (<c>kubectl get</c>), or metadata only.</summary>
internal enum ObjectForm
{
    Whole,
    Table,
    Metadata,
}

/// <summary>The form that a request's Accept header selects. All forms are JSON.</summary>
/// <param name="Version">Version of the group meta.k8s.io, for tables and metadata.</param>
internal readonly record struct AcceptedForm(ObjectForm Form, string Version)
{
    /// <exception cref="KubeStatusException">406: the client accepts no form that this server can write.</exception>
    public static AcceptedForm Of(HttpRequest request)
    {
        var accept = request.Headers.Accept.ToString();
        if (accept.Length == 0)
            return default;
        foreach (var part in accept.Split(','))
        {
            var words = part.Split(';', StringSplitOptions.TrimEntries);
            if (words[0] is not ("application/json" or "application/*" or "*/*"))
                continue;
            string? Parameter(string name) =>
                words.Skip(1).FirstOrDefault(word => word.StartsWith(name, StringComparison.Ordinal))?[name.Length..];
            switch (Parameter("as="))
            {
                case null:
                    return default;
                case "Table":
                    return new AcceptedForm(ObjectForm.Table, Parameter("v=") ?? "v1");
                case "PartialObjectMetadata" or "PartialObjectMetadataList":
                    return new AcceptedForm(ObjectForm.Metadata, Parameter("v=") ?? "v1");
                default:
                    continue; // unsupported; try the next alternative
            }
        }

        throw new KubeStatusException(
            HttpStatusCode.NotAcceptable,
            "NotAcceptable",
            "only the following media types are accepted: application/json"
        );
    }
}

/// <summary>Converts objects, lists and watch events to the form that a client accepts.</summary>
internal sealed class ObjectWriter(ResourceType type, AcceptedForm accepted, string includeObject, TimeProvider time)
{
    private bool _columnsSent;

    public JsonObject One(JsonObject o) =>
        accepted.Form switch
        {
            ObjectForm.Table => Table([o], o.Text("metadata", "resourceVersion"), withColumns: true),
            ObjectForm.Metadata => Metadata(o),
            _ => o,
        };

    public JsonObject List(ObjectPage page)
    {
        var meta = new JsonObject { ["resourceVersion"] = $"{page.ResourceVersion}" };
        if (page.Continue is { } next)
        {
            meta["continue"] = next;
            meta["remainingItemCount"] = page.Remaining;
        }

        switch (accepted.Form)
        {
            case ObjectForm.Table:
                var table = Table(page.Items, "", withColumns: true);
                table["metadata"] = meta;
                return table;
            case ObjectForm.Metadata:
                return new JsonObject
                {
                    ["kind"] = "PartialObjectMetadataList",
                    ["apiVersion"] = $"meta.k8s.io/{accepted.Version}",
                    ["metadata"] = meta,
                    ["items"] = new JsonArray([.. page.Items.Select(Metadata)]),
                };
            default:
                return new JsonObject
                {
                    ["kind"] = type.ListKind,
                    ["apiVersion"] = type.ApiVersion,
                    ["metadata"] = meta,
                    ["items"] = new JsonArray([.. page.Items]),
                };
        }
    }

    /// <summary>The object of a watch event. Only the first table of a watch has column definitions.</summary>
    public JsonObject Watched(JsonObject o)
    {
        if (accepted.Form != ObjectForm.Table)
            return One(o);
        var table = Table([o], o.Text("metadata", "resourceVersion"), withColumns: !_columnsSent);
        _columnsSent = true;
        return table;
    }

    /// <summary>
    /// The object of a BOOKMARK event, which has only a version, and an annotation if the bookmark ends the initial events of a watch.
    /// </summary>
    public JsonObject Bookmark(long version, bool endsInitialEvents)
    {
        var meta = new JsonObject { ["resourceVersion"] = $"{version}", ["creationTimestamp"] = null };
        if (endsInitialEvents)
            meta["annotations"] = new JsonObject { ["k8s.io/initial-events-end"] = "true" };
        var (kind, apiVersion) = accepted.Form switch
        {
            ObjectForm.Table => ("Table", $"meta.k8s.io/{accepted.Version}"),
            ObjectForm.Metadata => ("PartialObjectMetadata", $"meta.k8s.io/{accepted.Version}"),
            _ => (type.Kind, type.ApiVersion),
        };
        var bookmark = new JsonObject
        {
            ["kind"] = kind,
            ["apiVersion"] = apiVersion,
            ["metadata"] = meta,
        };
        if (accepted.Form == ObjectForm.Table)
            bookmark["rows"] = new JsonArray();
        return bookmark;
    }

    private JsonObject Table(IEnumerable<JsonObject> objects, string version, bool withColumns)
    {
        var now = time.GetUtcNow();
        return new JsonObject
        {
            ["kind"] = "Table",
            ["apiVersion"] = $"meta.k8s.io/{accepted.Version}",
            ["metadata"] = new JsonObject { ["resourceVersion"] = version },
            ["columnDefinitions"] = withColumns
                ? new JsonArray([
                    .. type.Columns.Select(column => new JsonObject
                    {
                        ["name"] = column.Title,
                        ["type"] = column.Type,
                        ["format"] = column.Format,
                        ["description"] = column.Description,
                        ["priority"] = column.Priority,
                    }),
                ])
                : null,
            ["rows"] = new JsonArray([
                .. objects.Select(o => new JsonObject
                {
                    ["cells"] = new JsonArray([.. type.Columns.Select(column => column.Cell(o, now))]),
                    ["object"] = RowObject(o),
                }),
            ]),
        };
    }

    private JsonObject? RowObject(JsonObject o) =>
        includeObject switch
        {
            "None" => null,
            "Object" => o,
            _ => Metadata(o),
        };

    private JsonObject Metadata(JsonObject o) =>
        new()
        {
            ["kind"] = "PartialObjectMetadata",
            ["apiVersion"] = $"meta.k8s.io/{accepted.Version ?? "v1"}",
            ["metadata"] = o["metadata"]?.DeepClone(),
        };
}
