// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// In-memory store of a small cluster's objects, in place of etcd and the API server's registry. Implements versions, optimistic locking,
/// subresources, finalizers, selectors, the history that watches resume from, and definitions of custom resources. Has no HTTP and does not
/// block. Thread-safe.
/// </summary>
/// <remarks>Stored trees are replaced, never changed, because history and lists share them. Arguments and results are copies.</remarks>
internal sealed partial class KubeStore
{
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly KubeStoreOptions _options;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, SortedDictionary<ObjectKey, JsonObject>> _objects = new(StringComparer.Ordinal);
    private readonly ChangeHistory _history;
    private readonly Queue<ObjectKey> _eventsByAge = new();
    private volatile IReadOnlyList<ResourceType> _types = BuiltInTypes.All;
    private TaskCompletionSource _nextWrite = NewSignal();
    private int _count;

    /// <param name="time">The clock of creation timestamps and conditions.</param>
    /// <param name="random">The randomness of uids and generated names; must not be used elsewhere.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    public KubeStore(TimeProvider time, Random random, KubeStoreOptions? options = null)
    {
        _time = time;
        _random = random;
        _options = options ?? new KubeStoreOptions();
        _history = new ChangeHistory(_options.HistoryLength);
        foreach (var name in (ReadOnlySpan<string>)["default", "kube-system", "kube-node-lease"])
            Create(BuiltInTypes.Namespaces, "", new JsonObject { ["metadata"] = new JsonObject { ["name"] = name } });
    }

    /// <summary>The kinds that are currently served.</summary>
    public IReadOnlyList<ResourceType> Types => _types;

    public ResourceType? FindType(string group, string version, string plural) =>
        _types.FirstOrDefault(type => type.Plural == plural && type.Group == group && type.Version == version);

    /// <summary>Version of the newest write.</summary>
    public long LastVersion
    {
        get
        {
            lock (_lock)
                return _history.Last;
        }
    }

    public JsonObject? Find(ResourceType type, string ns, string name)
    {
        lock (_lock)
            return Stored(type).TryGetValue(new ObjectKey(ns, name), out var stored) ? ToVersion(type, stored) : null;
    }

    /// <exception cref="KubeStatusException">404: the object does not exist.</exception>
    public JsonObject Get(ResourceType type, string ns, string name) =>
        Find(type, ns, name) ?? throw KubeStatusException.NotFound(type, name);

    /// <summary>Lists objects ordered by namespace and name.</summary>
    /// <param name="type">The kind.</param>
    /// <param name="selection">The objects to list.</param>
    /// <param name="limit">Maximum number of objects in the page; null for all.</param>
    /// <param name="continueFrom">Continue token of the previous page.</param>
    /// <exception cref="KubeStatusException">410: the token is older than the history; 400: it is invalid.</exception>
    public ObjectPage List(ResourceType type, Selection selection, int? limit = null, string? continueFrom = null)
    {
        lock (_lock)
        {
            var from = continueFrom is null ? (ListPosition?)null : ListPosition.Parse(continueFrom);
            if (from is { } position && position.Version < _history.CompactedTo)
                throw KubeStatusException.Expired("The provided continue parameter is too old to display a consistent list result.");
            // Later pages contain the current objects but have the first page's version, so a watch from it sends the changes in between.
            var version = from?.Version ?? _history.Last;
            var matching = Stored(type)
                .Where(pair =>
                    (from is not { } start || pair.Key.CompareTo(start.Key) > 0) && Matches(type, selection, pair.Key, pair.Value)
                )
                .ToArray();
            var page = limit is > 0 and var count && count < matching.Length ? matching[..count] : matching;
            return new ObjectPage(
                [.. page.Select(pair => ToVersion(type, pair.Value))],
                version,
                page.Length < matching.Length ? new ListPosition(version, page[^1].Key).ToString() : null,
                matching.Length - page.Length
            );
        }
    }

    /// <summary>
    /// Returns the changes of the selected objects after a version. An object that starts to match is ADDED; one that no longer matches is
    /// DELETED.
    /// </summary>
    /// <exception cref="KubeStatusException">410: the version is older than the history, or in the future.</exception>
    public WatchBatch ReadChanges(ResourceType type, Selection selection, long after)
    {
        lock (_lock)
        {
            // A version in the future comes from an earlier store, so the client must list again.
            if (after > _history.Last)
                throw KubeStatusException.Expired($"Too large resource version: {after}, current: {_history.Last}");
            var events = new List<WatchEvent>();
            foreach (var change in _history.After(after))
            {
                if (change.Storage != type.Storage)
                    continue;
                var was = change.Before is { } before && Matches(type, selection, change.Key, before);
                var isNow = !change.Deleted && Matches(type, selection, change.Key, change.Now);
                if (isNow)
                    events.Add(new WatchEvent(was ? "MODIFIED" : "ADDED", ToVersion(type, change.Now)));
                else if (was)
                    events.Add(new WatchEvent("DELETED", ToVersion(type, WithVersion(change.Before!, change.Version))));
            }

            return new WatchBatch(events, _history.Last);
        }
    }

    /// <summary>Completes when there is a write after this version, or the history is compacted past it; at once if so already.</summary>
    public Task WaitForChangeAsync(long version)
    {
        lock (_lock)
            return _history.Last > version || _history.CompactedTo > version ? Task.CompletedTask : _nextWrite.Task;
    }

    /// <summary>
    /// Drops the history, as etcd does every five minutes. Watches that are up to date continue; others get 410 when they resume.
    /// </summary>
    public void Compact()
    {
        lock (_lock)
            _history.Compact();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static JsonObject WithVersion(JsonObject o, long version)
    {
        var copy = (JsonObject)o.DeepClone();
        copy.Meta()["resourceVersion"] = version.ToString(CultureInfo.InvariantCulture);
        return copy;
    }

    private SortedDictionary<ObjectKey, JsonObject> Stored(ResourceType type)
    {
        if (!_objects.TryGetValue(type.Storage, out var objects))
            _objects[type.Storage] = objects = [];
        return objects;
    }

    /// <summary>Returns a copy of a stored object in the version of a kind.</summary>
    private static JsonObject ToVersion(ResourceType type, JsonObject stored)
    {
        var copy = (JsonObject)stored.DeepClone();
        if (type.Conversion is { } conversion)
            copy = conversion.FromStored(copy);
        copy["apiVersion"] = type.ApiVersion;
        copy["kind"] = type.Kind;
        return copy;
    }

    private static bool Matches(ResourceType type, Selection selection, ObjectKey key, JsonObject stored) =>
        selection.Matches(key, type.Conversion is { } conversion ? conversion.FromStored(stored) : stored);

    /// <summary>Content of a continue token.</summary>
    private readonly record struct ListPosition(long Version, ObjectKey Key)
    {
        public static ListPosition Parse(string token)
        {
            try
            {
                if (Encoding.UTF8.GetString(Convert.FromBase64String(token)).Split('\n') is [var version, var ns, var name])
                    return new ListPosition(long.Parse(version, CultureInfo.InvariantCulture), new ObjectKey(ns, name));
            }
            catch (FormatException)
            {
                // The exception below reports it.
            }

            throw KubeStatusException.BadRequest("continue key is not valid");
        }

        public override string ToString() => Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Version}\n{Key.Namespace}\n{Key.Name}"));
    }
}
