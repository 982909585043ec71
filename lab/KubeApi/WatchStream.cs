// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>What a watch asks for.</summary>
internal sealed record WatchSpec
{
    public required ResourceType Type { get; init; }

    public required Selection Selection { get; init; }

    /// <summary>Only what came after this version; null: begin with the objects as they are now.</summary>
    public required long? From { get; init; }

    public required bool WithBookmarks { get; init; }

    /// <summary>Begin with the objects and mark their end with a bookmark (sendInitialEvents), in the place of a list.</summary>
    public required bool BeginWithState { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required TimeSpan BookmarkInterval { get; init; }

    public KubeFaultKind? Fault { get; init; }
}

/// <summary>
/// One watch: an answer that does not end, one event a line
/// (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). It reads the store's history from where
/// it is, so it holds no queue, and a client that reads too slowly finds its place forgotten: ERROR with 410.
/// </summary>
internal sealed class WatchStream(KubeStore store, WatchSpec spec, ObjectWriter writer, TimeProvider time)
{
    /// <summary>Runs until the time is up, the watches are closed, or the client goes.</summary>
    public async Task RunAsync(HttpContext context, CancellationToken closed)
    {
        var response = context.Response;
        using var timeout = new CancellationTokenSource(spec.Timeout, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, closed, context.RequestAborted);
        response.ContentType = "application/json";
        try
        {
            await response.StartAsync(end.Token);
            await response.Body.FlushAsync(end.Token);
            if (await IsFaultyAsync(context, end.Token))
                return;
            var position = await BeginAsync(response, end.Token);
            while (true)
            {
                position = await AdvanceAsync(response, position, end.Token);
                if (!await ChangedAsync(position, end.Token) && spec.WithBookmarks)
                    await WriteAsync(response, "BOOKMARK", writer.Bookmark(position, endsInitialEvents: false), end.Token);
            }
        }
        catch (KubeStatusException refused)
        {
            await WriteAsync(response, "ERROR", refused.ToStatus(), context.RequestAborted);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // The end of a watch is the end of its answer. One that is closed before its time breaks off, as when a server goes down.
            if (closed.IsCancellationRequested)
                context.Abort();
        }
    }

    /// <returns>The version from which on changes are read.</returns>
    private async Task<long> BeginAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        if (spec is { From: { } from, BeginWithState: false })
            return from;
        var state = store.List(spec.Type, spec.Selection);
        foreach (var o in state.Items)
            await WriteAsync(response, "ADDED", writer.Watched(o), cancellationToken);
        if (spec is { BeginWithState: true, WithBookmarks: true })
            await WriteAsync(response, "BOOKMARK", writer.Bookmark(state.ResourceVersion, endsInitialEvents: true), cancellationToken);
        await response.Body.FlushAsync(cancellationToken);
        return state.ResourceVersion;
    }

    private async Task<long> AdvanceAsync(HttpResponse response, long position, CancellationToken cancellationToken)
    {
        var batch = store.ReadChanges(spec.Type, spec.Selection, position);
        foreach (var (type, o) in batch.Events)
            await WriteAsync(response, type, writer.Watched(o), cancellationToken);
        return batch.Position;
    }

    /// <summary>False when it is time for a bookmark and there is nothing new.</summary>
    private async Task<bool> ChangedAsync(long position, CancellationToken cancellationToken)
    {
        try
        {
            await store.ChangedAfterAsync(position).WaitAsync(spec.BookmarkInterval, time, cancellationToken);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private async Task<bool> IsFaultyAsync(HttpContext context, CancellationToken cancellationToken)
    {
        switch (spec.Fault)
        {
            case KubeFaultKind.Garbage:
                await context.Response.WriteAsync("{\"type\":\"ADDED\",\"object\":<html>\n", cancellationToken);
                return true;
            case KubeFaultKind.Truncated:
                await context.Response.WriteAsync("{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"" + spec.Type.Kind, cancellationToken);
                await context.Response.Body.FlushAsync(cancellationToken);
                context.Abort();
                return true;
            case KubeFaultKind.LostAnswer:
                context.Abort();
                return true;
            case KubeFaultKind.Stalled:
                var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                await using (cancellationToken.Register(ended.SetResult))
                    await ended.Task;
                return true;
            default:
                return false;
        }
    }

    private static async Task WriteAsync(HttpResponse response, string type, JsonObject o, CancellationToken cancellationToken)
    {
        var line = KubeJson.Write(new JsonObject { ["type"] = type, ["object"] = o }) + "\n";
        await response.Body.WriteAsync(Encoding.UTF8.GetBytes(line), cancellationToken);
        await response.Body.FlushAsync(cancellationToken);
    }
}
