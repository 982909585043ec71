// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// Requests for objects: from path, query string and body to a call of the store, and its result in the form that was asked for.
/// </summary>
internal sealed class ResourceRequests(KubeStore store, WatchHub watches, TimeProvider time, KubeApiOptions options)
{
    /// <exception cref="KubeStatusException">All refusals.</exception>
    public async Task<KubeAnswer> AnswerAsync(HttpContext context, KubeRoute route, string verb)
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
                var created = store.Create(type, ns, await BodyAsync(request), Write(context, route));
                return new KubeAnswer(HttpStatusCode.Created, writer.One(created));
            case "update":
                return Ok(writer.One(store.Update(type, ns, Named(route), await BodyAsync(request), Write(context, route))));
            case "patch":
                if (PatchRequest.IsApply(request.ContentType))
                    return await ApplyAsync(context, route, type, ns, writer);
                var change = PatchRequest.Read(type, request.ContentType, KubeJson.Parse(await BytesAsync(request)));
                return Ok(writer.One(store.Patch(type, ns, Named(route), change, Write(context, route))));
            case "delete":
                return await DeleteAsync(context, route, type, ns, writer);
            case "deletecollection":
                var gone = store.List(type, SelectionOf(type, route, request.Query));
                foreach (var o in gone.Items)
                    DeleteIfThere(type, o, Write(context, route));
                return Ok(writer.List(gone));
            default:
                throw KubeStatusException.MethodNotAllowed(request.Method);
        }
    }

    /// <summary>Serves a watch until it ends.</summary>
    /// <param name="fault">What goes wrong with it, if anything.</param>
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
            From = Text(query, "resourceVersion") is null or "0" or "" ? null : Version(query["resourceVersion"].ToString()),
            WithBookmarks = IsTrue(query, "allowWatchBookmarks"),
            BeginWithState = IsTrue(query, "sendInitialEvents"),
            Timeout = Seconds(query, "timeoutSeconds") is { } limit && limit < options.MaxWatchTime ? limit : options.MaxWatchTime,
            BookmarkInterval = options.BookmarkInterval,
            Fault = fault,
        };
        using var place = watches.Enter(options.MaxWatches);
        var stream = new WatchStream(store, spec, WriterFor(type, context.Request), time);
        await stream.RunAsync(context, place.Closed);
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
        // a watch of one object by its path
        if (route.Name is { } name)
            fields = fields is null ? $"metadata.name={name}" : $"{fields},metadata.name={name}";
        return new Selection(route.Namespace, LabelSelector.Parse(Text(query, "labelSelector")), FieldSelector.Parse(fields, type));
    }

    private static WriteOptions Write(HttpContext context, KubeRoute route)
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

    private async Task<KubeAnswer> ApplyAsync(HttpContext context, KubeRoute route, ResourceType type, string ns, ObjectWriter writer)
    {
        var query = context.Request.Query;
        var manager =
            Text(query, "fieldManager")
            ?? throw KubeStatusException.BadRequest(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
            );
        var applied =
            KubeJson.Parse(await BytesAsync(context.Request)) as JsonObject
            ?? throw KubeStatusException.BadRequest("what is applied is no object");
        if (applied["metadata"]?["managedFields"] is not null)
            throw KubeStatusException.BadRequest("metadata.managedFields must be nil");
        var (o, isNew) = store.Apply(type, ns, Named(route), applied, manager, IsTrue(query, "force"), Write(context, route));
        return new KubeAnswer(isNew ? HttpStatusCode.Created : HttpStatusCode.OK, writer.One(o));
    }

    private async Task<KubeAnswer> DeleteAsync(HttpContext context, KubeRoute route, ResourceType type, string ns, ObjectWriter writer)
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
        var write = Write(context, route);
        if (body?["dryRun"] is JsonArray { Count: > 0 })
            write = write with { DryRun = true };
        var deleted = store.Delete(type, ns, Named(route), preconditions, write);
        if (store.Find(type, ns, Named(route)) is { } marked && marked.Text("metadata", "uid") == deleted.Text("metadata", "uid"))
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

    /// <summary>Somebody else may have been quicker.</summary>
    private void DeleteIfThere(ResourceType type, JsonObject o, WriteOptions write)
    {
        try
        {
            store.Delete(type, o.Text("metadata", "namespace"), o.Text("metadata", "name"), preconditions: null, write);
        }
        catch (KubeStatusException gone) when (gone.Code == HttpStatusCode.NotFound)
        {
            // That is what was wanted.
        }
    }

    private static string Named(KubeRoute route) => route.Name ?? throw KubeStatusException.MethodNotAllowed("this verb without a name");

    private async Task<JsonObject> BodyAsync(HttpRequest request) => Parse(request, await BytesAsync(request));

    private static JsonObject Parse(HttpRequest request, byte[] body)
    {
        var mediaType = request.ContentType?.Split(';')[0].Trim();
        if (mediaType == ProtobufBody.MediaType)
            return ProtobufBody.Read(body);
        if (mediaType is not (null or "" or "application/json"))
            throw KubeStatusException.UnsupportedMediaType(
                $"the body of the request was in an unknown format - accepted media types include: application/json; this is {mediaType}"
            );
        return KubeJson.Parse(body) as JsonObject ?? throw KubeStatusException.BadRequest("the body of the request is no object");
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

    private static KubeAnswer Ok(JsonObject body) => new(HttpStatusCode.OK, body);

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
            : throw KubeStatusException.BadRequest($"{name}: \"{text}\" is no number");

    private static long Version(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var version)
            ? version
            : throw KubeStatusException.BadRequest($"Invalid value: \"{text}\": resourceVersion must be a number");
}
