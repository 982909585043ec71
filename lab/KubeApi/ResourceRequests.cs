// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Translates requests on objects to calls of the store, and results to the form that the client accepts.
/// </summary>
internal sealed class ResourceRequests(KubeStore store, WatchHub watches, TimeProvider time, KubeApiOptions options)
{
    /// <summary>Executes a request other than a watch.</summary>
    /// <exception cref="KubeStatusException">The request is invalid or the store rejects it.</exception>
    public async Task<KubeResponse> ExecuteAsync(HttpContext context, KubeRoute route, string verb)
    {
        var request = context.Request;
        var type = TypeOf(route);
        var ns = NamespaceOf(type, route, verb);
        var writer = WriterFor(type, request);
        switch (verb)
        {
            case "get":
                return Ok(writer.One(store.Get(type, ns, route.Name!)));
            case "list":
                return Ok(
                    writer.List(
                        store.List(type, SelectionOf(type, route, request.Query), Limit(request.Query), Text(request.Query, "continue"))
                    )
                );
            case "create":
                if (route.Name is not null)
                    throw KubeStatusException.MethodNotAllowed("create with a name in the path");
                var created = store.Create(type, ns, await BodyAsync(request), ReadWriteOptions(context, route));
                return new KubeResponse(HttpStatusCode.Created, writer.One(created));
            case "update":
                return Ok(
                    writer.One(store.Update(type, ns, RequireName(route), await BodyAsync(request), ReadWriteOptions(context, route)))
                );
            case "patch":
                if (PatchRequest.IsApply(request.ContentType))
                    return await ApplyAsync(context, route, type, ns, writer);
                var change = PatchRequest.Read(type, request.ContentType, KubeJson.Parse(await BytesAsync(request)));
                return Ok(writer.One(store.Patch(type, ns, RequireName(route), change, ReadWriteOptions(context, route))));
            case "delete":
                return await DeleteAsync(context, route, type, ns, writer);
            case "deletecollection":
                var deleted = store.List(type, SelectionOf(type, route, request.Query));
                foreach (var o in deleted.Items)
                    DeleteIfExists(type, o, ReadWriteOptions(context, route));
                return Ok(writer.List(deleted));
            default:
                throw KubeStatusException.MethodNotAllowed(request.Method);
        }
    }

    /// <summary>Serves a watch until it ends.</summary>
    /// <param name="context">The request and its response.</param>
    /// <param name="route">The objects to watch.</param>
    /// <param name="fault">The fault to inject; null for none.</param>
    public async Task WatchAsync(HttpContext context, KubeRoute route, KubeFaultKind? fault)
    {
        var query = context.Request.Query;
        var type = TypeOf(route);
        if (route.Subresource.Length > 0)
            throw KubeStatusException.MethodNotAllowed("watch");
        _ = NamespaceOf(type, route, "watch");
        var spec = new WatchSpec
        {
            Type = type,
            Selection = SelectionOf(type, route, query),
            FromVersion = Text(query, "resourceVersion") is null or "0" or "" ? null : Version(query["resourceVersion"].ToString()),
            AllowBookmarks = IsTrue(query, "allowWatchBookmarks"),
            SendInitialEvents = IsTrue(query, "sendInitialEvents"),
            Timeout = Seconds(query, "timeoutSeconds") is { } limit && limit < options.MaxWatchTime ? limit : options.MaxWatchTime,
            BookmarkInterval = options.BookmarkInterval,
            Fault = fault,
        };
        using var registration = watches.Register(options.MaxWatches);
        var stream = new WatchStream(store, spec, WriterFor(type, context.Request), time);
        await stream.RunAsync(context, registration.Closed);
    }

    private ResourceType TypeOf(KubeRoute route) =>
        store.FindType(route.Group, route.Version, route.Plural) is { } type
        && (route.Subresource.Length == 0 || (type.HasStatus && route.Subresource == WriteOptions.Status))
            ? type
            : throw KubeStatusException.NoSuchPath();

    private static string NamespaceOf(ResourceType type, KubeRoute route, string verb)
    {
        if (!type.Namespaced && route.Namespace is not null)
            throw KubeStatusException.NoSuchPath();
        if (type.Namespaced && route.Namespace is null && (route.Name is not null || verb == "create"))
            throw verb == "create"
                ? KubeStatusException.BadRequest("an empty namespace may not be set during creation")
                : KubeStatusException.NoSuchPath();
        return route.Namespace ?? "";
    }

    private ObjectWriter WriterFor(ResourceType type, HttpRequest request) =>
        new(type, AcceptedForm.Of(request), request.Query["includeObject"].ToString(), time);

    private static Selection SelectionOf(ResourceType type, KubeRoute route, IQueryCollection query)
    {
        var fields = Text(query, "fieldSelector");
        // A watch of a single object has its name in the path.
        if (route.Name is { } name)
            fields = fields is null ? $"metadata.name={name}" : $"{fields},metadata.name={name}";
        return new Selection(route.Namespace, LabelSelector.Parse(Text(query, "labelSelector")), FieldSelector.Parse(fields, type));
    }

    private static WriteOptions ReadWriteOptions(HttpContext context, KubeRoute route)
    {
        var query = context.Request.Query;
        var dryRun = query["dryRun"].ToString();
        if (dryRun is not ("" or "All"))
            throw KubeStatusException.BadRequest($"Invalid value: \"{dryRun}\": dryRun must be All");
        return new WriteOptions(
            dryRun == "All",
            route.Subresource,
            query["fieldValidation"].ToString() switch
            {
                "Strict" => field => throw KubeStatusException.BadRequest($"strict decoding error: unknown field \"{field}\""),
                "Ignore" => null,
                _ => field => context.Response.Headers.Append("Warning", $"299 - \"unknown field \\\"{field}\\\"\""),
            }
        );
    }

    private async Task<KubeResponse> ApplyAsync(HttpContext context, KubeRoute route, ResourceType type, string ns, ObjectWriter writer)
    {
        var query = context.Request.Query;
        var manager =
            Text(query, "fieldManager")
            ?? throw KubeStatusException.BadRequest(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
            );
        var applied =
            KubeJson.Parse(await BytesAsync(context.Request)) as JsonObject
            ?? throw KubeStatusException.BadRequest("the applied configuration must be an object");
        if (applied["metadata"]?["managedFields"] is not null)
            throw KubeStatusException.BadRequest("metadata.managedFields must be nil");
        var (o, isNew) = store.Apply(
            type,
            ns,
            RequireName(route),
            applied,
            manager,
            IsTrue(query, "force"),
            ReadWriteOptions(context, route)
        );
        return new KubeResponse(isNew ? HttpStatusCode.Created : HttpStatusCode.OK, writer.One(o));
    }

    private async Task<KubeResponse> DeleteAsync(HttpContext context, KubeRoute route, ResourceType type, string ns, ObjectWriter writer)
    {
        var bytes = await BytesAsync(context.Request);
        var body = bytes.Length == 0 ? null : Parse(context.Request, bytes);
        var grace =
            Text(context.Request.Query, "gracePeriodSeconds") is { } text ? Number("gracePeriodSeconds", text)
            : body?["gracePeriodSeconds"] is { } node ? Number("gracePeriodSeconds", node.ToString())
            : (int?)null;
        var preconditions = new Preconditions(
            NullIfEmpty(body.Text("preconditions", "uid")),
            NullIfEmpty(body.Text("preconditions", "resourceVersion")),
            grace
        );
        var write = ReadWriteOptions(context, route);
        if (body?["dryRun"] is JsonArray { Count: > 0 })
            write = write with { DryRun = true };
        var deleted = store.Delete(type, ns, RequireName(route), preconditions, write);
        if (store.Find(type, ns, RequireName(route)) is { } marked && marked.Text("metadata", "uid") == deleted.Text("metadata", "uid"))
            return Ok(writer.One(deleted));
        return Ok(
            new JsonObject
            {
                ["kind"] = "Status",
                ["apiVersion"] = "v1",
                ["metadata"] = new JsonObject(),
                ["status"] = "Success",
                ["details"] = new JsonObject
                {
                    ["name"] = route.Name,
                    ["group"] = type.Group,
                    ["kind"] = type.Plural,
                    ["uid"] = deleted.Text("metadata", "uid"),
                },
            }
        );
    }

    /// <summary>Deletes an object, which another client may have deleted already.</summary>
    private void DeleteIfExists(ResourceType type, JsonObject o, WriteOptions write)
    {
        try
        {
            store.Delete(type, o.Text("metadata", "namespace"), o.Text("metadata", "name"), preconditions: null, write);
        }
        catch (KubeStatusException error) when (error.Code == HttpStatusCode.NotFound)
        {
            // Another client deleted it.
        }
    }

    private static string RequireName(KubeRoute route) =>
        route.Name ?? throw KubeStatusException.MethodNotAllowed("this verb without a name");

    private async Task<JsonObject> BodyAsync(HttpRequest request) => Parse(request, await BytesAsync(request));

    private static JsonObject Parse(HttpRequest request, byte[] body)
    {
        var mediaType = request.ContentType?.Split(';')[0].Trim();
        if (mediaType == ProtobufBody.MediaType)
            return ProtobufBody.Read(body);
        if (mediaType is not (null or "" or "application/json"))
            throw KubeStatusException.UnsupportedMediaType(
                $"the body of the request was in an unknown format - accepted media types include: application/json; got {mediaType}"
            );
        return KubeJson.Parse(body) as JsonObject ?? throw KubeStatusException.BadRequest("the body of the request is not an object");
    }

    private async Task<byte[]> BytesAsync(HttpRequest request)
    {
        if (request.ContentLength > options.MaxBodyBytes)
            throw TooLarge();
        using var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await request.Body.ReadAsync(buffer, request.HttpContext.RequestAborted)) > 0)
        {
            if (body.Length + read > options.MaxBodyBytes)
                throw TooLarge();
            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }

    private KubeStatusException TooLarge() =>
        new(HttpStatusCode.RequestEntityTooLarge, "RequestEntityTooLarge", $"Request entity too large: limit is {options.MaxBodyBytes}");

    private static KubeResponse Ok(JsonObject body) => new(HttpStatusCode.OK, body);

    private static string? Text(IQueryCollection query, string name) =>
        query.TryGetValue(name, out var values) ? NullIfEmpty(values.ToString()) : null;

    private static string? NullIfEmpty(string text) => text.Length == 0 ? null : text;

    private static bool IsTrue(IQueryCollection query, string name) => query[name].ToString() is "true" or "1";

    private static int? Limit(IQueryCollection query) => Text(query, "limit") is { } text ? Number("limit", text) : null;

    private static TimeSpan? Seconds(IQueryCollection query, string name) =>
        Text(query, name) is { } text ? TimeSpan.FromSeconds(Number(name, text)) : null;

    private static int Number(string name, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw KubeStatusException.BadRequest($"{name}: \"{text}\" is not a number");

    private static long Version(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var version)
            ? version
            : throw KubeStatusException.BadRequest($"Invalid value: \"{text}\": resourceVersion must be a number");
}
