// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <content>Writes. Each takes the lock, builds the new object, validates it, and stores it with a new version.</content>
internal sealed partial class KubeStore
{
    /// <summary>Characters of generated names, which form no words (k8s.io/apimachinery, rand.SafeEncodeString).</summary>
    private const string NameLetters = "bcdfghjklmnpqrstvwxz2456789";

    private const int GeneratedLetters = 5;

    /// <summary>Default of terminationGracePeriodSeconds.</summary>
    private const int DefaultGracePeriodSeconds = 30;

    /// <summary>Creates an object and returns it.</summary>
    /// <exception cref="KubeStatusException">409: it exists; 404: its namespace does not; 422: it is invalid; 400.</exception>
    public JsonObject Create(ResourceType type, string ns, JsonObject o, WriteOptions? options = null)
    {
        var write = options ?? WriteOptions.Plain;
        lock (_lock)
        {
            var created = Receive(type, ns, o);
            var meta = created.Meta();
            if (meta.Text("resourceVersion") is not ("" or "0"))
                throw KubeStatusException.BadRequest("resourceVersion should not be set on objects to be created");
            if (meta.Text("name").Length == 0 && meta.Text("generateName") is { Length: > 0 } prefix)
                meta["name"] = prefix + new string(_random.GetItems<char>(NameLetters, GeneratedLetters));
            var name = meta.Text("name");
            if (name.Length == 0)
                throw KubeStatusException.Invalid(type, "", FieldProblem.Required("metadata.name", "name or generateName is required"));
            RequireNamespace_NeedsLock(type, ns);
            var key = new ObjectKey(ns, name);
            if (Stored(type).ContainsKey(key))
                throw KubeStatusException.AlreadyExists(type, name);
            if (_count >= _options.MaxObjects)
                throw new KubeStatusException(
                    HttpStatusCode.InsufficientStorage,
                    "InsufficientStorage",
                    $"this store has reached its limit of {_options.MaxObjects} objects"
                );

            meta.Remove("deletionTimestamp");
            meta.Remove("deletionGracePeriodSeconds");
            meta.Remove("selfLink");
            meta["uid"] = NewUid();
            meta["creationTimestamp"] = KubeJson.Timestamp(_time.GetUtcNow());
            if (type.IsCustom)
                meta["generation"] = 1L;
            PrepareNew(type, created);
            Check(type, created, write);
            return ToVersion(type, write.DryRun ? created : Store_NeedsLock(type, key, before: null, created));
        }
    }

    /// <summary>Replaces an object, or its status.</summary>
    /// <exception cref="KubeStatusException">404: it does not exist; 409: it was modified; 422: it is invalid; 400.</exception>
    public JsonObject Update(ResourceType type, string ns, string name, JsonObject o, WriteOptions? options = null)
    {
        lock (_lock)
        {
            var before = Existing_NeedsLock(type, ns, name);
            var now = Receive(type, ns, o);
            if (now.Text("metadata", "name") is { Length: > 0 } other && other != name)
                throw KubeStatusException.BadRequest($"the name of the object ({other}) does not match the name on the URL ({name})");
            now.Meta()["name"] = name;
            if (type.IsCustom && now.Text("metadata", "resourceVersion").Length == 0)
                throw KubeStatusException.Invalid(
                    type,
                    name,
                    FieldProblem.Invalid("metadata.resourceVersion", "0x0", "must be specified for an update")
                );
            return Replace_NeedsLock(type, new ObjectKey(ns, name), before, now, options ?? WriteOptions.Plain);
        }
    }

    /// <summary>Changes an object, or its status, atomically.</summary>
    /// <param name="type">The kind.</param>
    /// <param name="ns">The namespace; empty for cluster-scoped objects.</param>
    /// <param name="name">The object's name.</param>
    /// <param name="change">Returns the new object, given a copy of the current one in the version of <paramref name="type"/>.</param>
    /// <param name="options">Options of the write.</param>
    /// <exception cref="KubeStatusException">
    /// 404: it does not exist; 409: the result has another resourceVersion; 422: it is invalid; 400.
    /// </exception>
    public JsonObject Patch(ResourceType type, string ns, string name, Func<JsonObject, JsonObject> change, WriteOptions? options = null)
    {
        lock (_lock)
        {
            var before = Existing_NeedsLock(type, ns, name);
            var now = Receive(type, ns, change(ToVersion(type, before)));
            if (now.Text("metadata", "name") != name)
                throw KubeStatusException.BadRequest(
                    $"the name of the object ({now.Text("metadata", "name")}) does not match the name on the URL ({name})"
                );
            return Replace_NeedsLock(type, new ObjectKey(ns, name), before, now, options ?? WriteOptions.Plain);
        }
    }

    /// <summary>Server-side apply: applies a manager's configuration to an object, or creates the object from it.</summary>
    /// <returns>The object, and whether it was created.</returns>
    /// <exception cref="KubeStatusException">409: it conflicts with other managers; 422: it is invalid; 400.</exception>
    public (JsonObject Object, bool IsNew) Apply(
        ResourceType type,
        string ns,
        string name,
        JsonObject applied,
        string manager,
        bool force,
        WriteOptions? options = null
    )
    {
        lock (_lock)
        {
            var now = _time.GetUtcNow();
            if (Stored(type).ContainsKey(new ObjectKey(ns, name)))
                return (Patch(type, ns, name, current => ApplyPatch.Apply(type, current, applied, manager, force, now), options), false);
            var created = ApplyPatch.Apply(type, [], applied, manager, force, now);
            created.Meta()["name"] = name;
            return (Create(type, ns, created, options), true);
        }
    }

    /// <summary>
    /// Deletes an object. One with finalizers, or a pod with a grace period, is only marked; removing the last finalizer removes the
    /// object. Deleting a namespace deletes its objects.
    /// </summary>
    /// <returns>The deleted or marked object.</returns>
    /// <exception cref="KubeStatusException">404: it does not exist; 409: a precondition failed.</exception>
    public JsonObject Delete(ResourceType type, string ns, string name, Preconditions? preconditions = null, WriteOptions? options = null)
    {
        lock (_lock)
        {
            var stored = Existing_NeedsLock(type, ns, name);
            var meta = stored.Meta();
            if (preconditions?.Uid is { } uid && uid != meta.Text("uid"))
                throw KubeStatusException.Conflict(
                    type,
                    name,
                    $"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta.Text("uid")}"
                );
            if (preconditions?.ResourceVersion is { } version && version != meta.Text("resourceVersion"))
                throw KubeStatusException.Conflict(
                    type,
                    name,
                    $"Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: "
                        + $"{meta.Text("resourceVersion")}"
                );
            if (options is { DryRun: true })
                return ToVersion(type, stored);

            var key = new ObjectKey(ns, name);
            var grace = preconditions?.GracePeriodSeconds ?? DefaultGracePeriodSeconds;
            var endsLater =
                _options.GracefulPodDeletion && type == BuiltInTypes.Pods && grace > 0 && stored.Text("spec", "nodeName").Length > 0;
            if (endsLater || meta["finalizers"] is JsonArray { Count: > 0 })
            {
                if (meta.ContainsKey("deletionTimestamp"))
                    return ToVersion(type, stored);
                var marked = (JsonObject)stored.DeepClone();
                marked.Meta()["deletionTimestamp"] = KubeJson.Timestamp(_time.GetUtcNow() + TimeSpan.FromSeconds(endsLater ? grace : 0));
                marked.Meta()["deletionGracePeriodSeconds"] = endsLater ? grace : 0;
                return ToVersion(type, Store_NeedsLock(type, key, stored, marked));
            }

            if (type == BuiltInTypes.Namespaces)
                RemoveAllIn_NeedsLock(name);
            return ToVersion(type, Remove_NeedsLock(type, key, stored));
        }
    }

    private void RemoveAllIn_NeedsLock(string ns)
    {
        foreach (var type in _types.Where(type => type.Namespaced && type.Conversion is null))
        {
            foreach (var (key, stored) in Stored(type).Where(pair => pair.Key.Namespace == ns).ToArray())
                Remove_NeedsLock(type, key, stored);
        }
    }

    private JsonObject Replace_NeedsLock(ResourceType type, ObjectKey key, JsonObject before, JsonObject now, WriteOptions write)
    {
        JsonObject meta = now.Meta(),
            oldMeta = before.Meta();
        if (meta.Text("resourceVersion") is { Length: > 0 } version && version != "0" && version != oldMeta.Text("resourceVersion"))
            throw KubeStatusException.Modified(type, key.Name);
        if (meta.Text("uid") is { Length: > 0 } uid && uid != oldMeta.Text("uid"))
            throw KubeStatusException.Conflict(
                type,
                key.Name,
                $"Precondition failed: UID in precondition: {uid}, UID in object meta: {oldMeta.Text("uid")}"
            );

        if (write.IsStatus)
            now = WithStatus(type, before, now);
        else if (type.HasStatus)
            SetOrRemove(now, "status", before["status"]);
        meta = now.Meta();
        foreach (
            var name in (ReadOnlySpan<string>)
                [
                    "uid",
                    "creationTimestamp",
                    "deletionTimestamp",
                    "deletionGracePeriodSeconds",
                    "generation",
                    "resourceVersion",
                    "namespace",
                    "generateName",
                ]
        )
            SetOrRemove(meta, name, oldMeta[name]);
        if (type == BuiltInTypes.Definitions && !write.IsStatus)
            now.Remove("status");
        Check(type, now, write);
        if (type.IsCustom && !write.IsStatus && !SameBesidesMetaAndStatus(before, now))
            meta["generation"] = ((long?)oldMeta["generation"] ?? 0) + 1;

        // A write that changes nothing creates no version.
        if (JsonNode.DeepEquals(before, now) || write.DryRun)
            return ToVersion(type, now);
        if (meta.ContainsKey("deletionTimestamp") && meta["finalizers"] is not JsonArray { Count: > 0 })
            return ToVersion(type, Remove_NeedsLock(type, key, now));
        return ToVersion(type, Store_NeedsLock(type, key, before, now));
    }

    /// <summary>
    /// Returns the object with a new status. For built-in kinds, a write of the status may also change labels and annotations; for custom
    /// resources, it may not.
    /// </summary>
    private static JsonObject WithStatus(ResourceType type, JsonObject before, JsonObject now)
    {
        var result = (JsonObject)before.DeepClone();
        SetOrRemove(result, "status", now["status"]);
        if (type.IsCustom)
            return result;
        foreach (var name in (ReadOnlySpan<string>)["labels", "annotations"])
            SetOrRemove(result.Meta(), name, now["metadata"]?[name]);
        return result;
    }

    private static bool SameBesidesMetaAndStatus(JsonObject before, JsonObject now)
    {
        static JsonObject Rest(JsonObject o) =>
            new(
                o.Where(pair => pair.Key is not ("metadata" or "status"))
                    .Select(pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone()))
            );
        return JsonNode.DeepEquals(Rest(before), Rest(now));
    }

    /// <summary>Returns a copy of a received object in the storage's form, after checking its apiVersion, kind and namespace.</summary>
    private static JsonObject Receive(ResourceType type, string ns, JsonObject o)
    {
        var (apiVersion, kind) = (o.Text("apiVersion"), o.Text("kind"));
        if (type.IsCustom && (apiVersion.Length == 0 || kind.Length == 0))
            throw KubeStatusException.BadRequest("Object 'Kind' or 'apiVersion' is missing");
        if (apiVersion.Length > 0 && apiVersion != type.ApiVersion)
            throw KubeStatusException.BadRequest(
                $"the API version in the data ({apiVersion}) does not match the expected API version ({type.ApiVersion})"
            );
        if (kind.Length > 0 && kind != type.Kind)
            throw KubeStatusException.BadRequest($"the kind in the data ({kind}) does not match the expected kind ({type.Kind})");
        if (o["metadata"] is not (null or JsonObject))
            throw KubeStatusException.BadRequest("metadata must be an object");
        if (o.Text("metadata", "namespace") is { Length: > 0 } named && named != ns)
            throw KubeStatusException.BadRequest(
                type.Namespaced
                    ? "the namespace of the provided object does not match the namespace sent on the request"
                    : "namespace is not allowed on this kind of object"
            );

        var copy = KubeJson.Normalize(o);
        if (type.Conversion is { } conversion)
            copy = conversion.ToStored(copy);
        copy.Remove("apiVersion");
        copy.Remove("kind");
        var received = new JsonObject { ["kind"] = type.Kind, ["apiVersion"] = type.ApiVersion }; // first, for readability
        foreach (var (name, value) in copy.ToArray())
        {
            copy.Remove(name);
            received[name] = value;
        }

        if (type.Namespaced)
            received.Meta()["namespace"] = ns;
        return received;
    }

    private static void PrepareNew(ResourceType type, JsonObject created)
    {
        if (type.IsCustom && type.HasStatus)
            created.Remove("status");
        if (type == BuiltInTypes.Pods)
        {
            created["status"] = new JsonObject { ["phase"] = "Pending", ["qosClass"] = "BestEffort" };
            if (created["spec"] is JsonObject spec)
            {
                spec["restartPolicy"] ??= "Always";
                spec["serviceAccountName"] ??= "default";
                spec["enableServiceLinks"] ??= true;
            }
        }
        else if (type == BuiltInTypes.Namespaces)
        {
            created["status"] = new JsonObject { ["phase"] = "Active" };
            if ((created.Meta()["labels"] ??= new JsonObject()) is JsonObject labels)
                labels["kubernetes.io/metadata.name"] = created.Text("metadata", "name");
        }
        else if (type == BuiltInTypes.Definitions)
            created.Remove("status");
    }

    private void Check(ResourceType type, JsonObject o, WriteOptions write)
    {
        var problems = new List<FieldProblem>(ObjectRules.Check(o));
        if (type == BuiltInTypes.Definitions)
            problems.AddRange(CustomTypes.Check(o));
        if (type.Schema is { } schema)
        {
            var unknown = new List<string>();
            problems.AddRange(StructuralSchema.Check(schema, o, unknown));
            if (write.OnUnknownField is { } report)
                unknown.ForEach(report);
        }

        if (problems.Count > 0)
            throw KubeStatusException.Invalid(type, o.Text("metadata", "name"), problems);
        if (type == BuiltInTypes.Definitions && o["status"] is null)
            CustomTypes.SetStatus(o, _time.GetUtcNow());
    }

    private JsonObject Existing_NeedsLock(ResourceType type, string ns, string name) =>
        Stored(type).TryGetValue(new ObjectKey(ns, name), out var stored) ? stored : throw KubeStatusException.NotFound(type, name);

    private void RequireNamespace_NeedsLock(ResourceType type, string ns)
    {
        if (type.Namespaced && !Stored(BuiltInTypes.Namespaces).ContainsKey(new ObjectKey("", ns)))
            throw KubeStatusException.NotFound(BuiltInTypes.Namespaces, ns);
    }

    private JsonObject Store_NeedsLock(ResourceType type, ObjectKey key, JsonObject? before, JsonObject now)
    {
        now.Meta()["resourceVersion"] = (_history.Last + 1).ToString(CultureInfo.InvariantCulture);
        Stored(type)[key] = now;
        if (before is null)
            _count++;
        Record_NeedsLock(new Change(_history.Last + 1, type.Storage, key, before, now, Deleted: false), type);
        if (before is null && type.Storage == BuiltInTypes.Events.Storage)
        {
            _eventsByAge.Enqueue(key);
            TrimEvents_NeedsLock();
        }

        return now;
    }

    private JsonObject Remove_NeedsLock(ResourceType type, ObjectKey key, JsonObject last)
    {
        var before = Stored(type)[key];
        var removed = WithVersion(last, _history.Last + 1);
        Stored(type).Remove(key);
        _count--;
        Record_NeedsLock(new Change(_history.Last + 1, type.Storage, key, before, removed, Deleted: true), type);
        return removed;
    }

    private void TrimEvents_NeedsLock()
    {
        var events = Stored(BuiltInTypes.Events);
        while (events.Count > _options.MaxEvents)
        {
            var oldest = _eventsByAge.Dequeue(); // may already be deleted
            if (events.TryGetValue(oldest, out var stored))
                Remove_NeedsLock(BuiltInTypes.Events, oldest, stored);
        }

        if (_eventsByAge.Count <= 2 * _options.MaxEvents)
            return;
        var live = _eventsByAge.Where(events.ContainsKey).Distinct().ToArray();
        _eventsByAge.Clear();
        foreach (var key in live)
            _eventsByAge.Enqueue(key);
    }

    private void Record_NeedsLock(Change change, ResourceType type)
    {
        _history.Add(change);
        if (type.Storage == BuiltInTypes.Definitions.Storage)
            _types = [.. BuiltInTypes.All, .. Stored(BuiltInTypes.Definitions).Values.SelectMany(CustomTypes.Read)];
        var signal = _nextWrite;
        _nextWrite = NewSignal();
        signal.SetResult();
    }

    private string NewUid()
    {
        Span<byte> bytes = stackalloc byte[16];
        _random.NextBytes(bytes);
        bytes[7] = (byte)((bytes[7] & 0x0F) | 0x40); // version 4, variant 1, because clients may validate the UUID
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes).ToString("D", CultureInfo.InvariantCulture);
    }

    private static void SetOrRemove(JsonObject o, string name, JsonNode? value)
    {
        if (value is null)
            o.Remove(name);
        else
            o[name] = value.DeepClone();
    }
}
