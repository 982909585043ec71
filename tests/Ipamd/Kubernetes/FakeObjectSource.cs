// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Kubernetes;

namespace VpcCni.Ipamd.Tests.Kubernetes;

/// <summary>An API server with one object, whose watches a test feeds and ends. Runs on the test's thread.</summary>
internal sealed class FakeObjectSource<T> : IObjectSource<T>
    where T : class
{
    private readonly Queue<ClusterException> _failures = new();
    private (Action<ObjectEvent<T>> OnEvent, TaskCompletionSource End)? _watch;

    public T? Item { get; set; }

    public string Version { get; set; } = "1";

    /// <summary>The calls, e.g. <c>list n 0</c>, <c>watch n 7</c>.</summary>
    public List<string> Calls { get; } = [];

    public List<TimeSpan> Durations { get; } = [];

    public bool IsWatched => _watch is not null;

    private (Action<ObjectEvent<T>> OnEvent, TaskCompletionSource End) Watch =>
        _watch ?? throw new InvalidOperationException("no watch is open");

    /// <summary>Makes the next call fail.</summary>
    public void Fail(ClusterErrorKind kind, TimeSpan? retryAfter = null) =>
        _failures.Enqueue(new ClusterException(kind, "call", kind.ToString(), retryAfter));

    public Task<ListedObject<T>> ListAsync(string name, string version, CancellationToken cancellationToken)
    {
        Calls.Add($"list {name} {version}".TrimEnd());
        return _failures.TryDequeue(out var failure)
            ? Task.FromException<ListedObject<T>>(failure)
            : Task.FromResult(new ListedObject<T>(Item, Version));
    }

    public async Task WatchAsync(
        string name,
        string version,
        TimeSpan duration,
        Action<ObjectEvent<T>> onEvent,
        CancellationToken cancellationToken
    )
    {
        Calls.Add($"watch {name} {version}".TrimEnd());
        Durations.Add(duration);
        if (_failures.TryDequeue(out var failure))
            throw failure;
        var end = new TaskCompletionSource();
        _watch = (onEvent, end);
        await using var registration = cancellationToken.Register(() => end.TrySetCanceled(cancellationToken));
        try
        {
            await end.Task;
        }
        finally
        {
            _watch = null;
        }
    }

    public void Publish(T? item, string version) => Watch.OnEvent(new ObjectEvent<T>(item, Version = version, IsBookmark: false));

    public void Bookmark(string version) => Watch.OnEvent(new ObjectEvent<T>(null, Version = version, IsBookmark: true));

    /// <summary>Ends the watch, with or without an error.</summary>
    public void End(ClusterErrorKind? kind = null)
    {
        var end = Watch.End;
        if (kind is { } error)
            end.TrySetException(new ClusterException(error, "watch", error.ToString()));
        else
            end.TrySetResult();
    }
}
