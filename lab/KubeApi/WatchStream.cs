// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json.Nodes;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.KubeApi;

/// <summary>Parameters of a watch.</summary>
internal sealed record WatchSpec
{
    public required ResourceType Type { get; init; }

    public required Selection Selection { get; init; }

    /// <summary>The version after which to send changes; null to send the current objects first.</summary>
    public required long? FromVersion { get; init; }

    public required bool AllowBookmarks { get; init; }

    /// <summary>Sends the current objects first and marks their end with a bookmark (sendInitialEvents), which replaces a list.</summary>
    public required bool SendInitialEvents { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required TimeSpan BookmarkInterval { get; init; }

    public KubeFaultKind? Fault { get; init; }
}

/// <summary>
/// Serves a watch: a response without end, with one event per line
/// (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). It has no queue but reads the store's
/// history from its position. If a client reads so slowly that the history no longer contains the position, it sends ERROR with 410.
/// </summary>
internal sealed class WatchStream(KubeStore store, WatchSpec spec, ObjectWriter writer, TimeProvider time)
{
    /// <summary>Runs until the watch times out, the watches are closed, or the client disconnects.</summary>
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
            if (await ApplyFaultAsync(context, end.Token))
                return;
            var position = await SendInitialEventsAsync(response, end.Token);
            while (true)
            {
                position = await SendChangesAsync(response, position, end.Token);
                if (!await WaitForChangeAsync(position, end.Token) && spec.AllowBookmarks)
                    await WriteAsync(response, "BOOKMARK", writer.Bookmark(position, endsInitialEvents: false), end.Token);
            }
        }
        catch (KubeStatusException error)
        {
            await WriteAsync(response, "ERROR", error.ToStatus(), context.RequestAborted);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // A watch that times out ends its response. One that is closed aborts the connection, as when a server goes down.
            if (closed.IsCancellationRequested)
                context.Abort();
        }
    }

    /// <summary>Sends the initial events, if the watch has any.</summary>
    /// <returns>The version after which to send changes.</returns>
    private async Task<long> SendInitialEventsAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        if (spec is { FromVersion: { } from, SendInitialEvents: false })
            return from;
        var state = store.List(spec.Type, spec.Selection);
        foreach (var o in state.Items)
            await WriteAsync(response, "ADDED", writer.Watched(o), cancellationToken);
        if (spec is { SendInitialEvents: true, AllowBookmarks: true })
            await WriteAsync(response, "BOOKMARK", writer.Bookmark(state.ResourceVersion, endsInitialEvents: true), cancellationToken);
        await response.Body.FlushAsync(cancellationToken);
        return state.ResourceVersion;
    }

    private async Task<long> SendChangesAsync(HttpResponse response, long position, CancellationToken cancellationToken)
    {
        var batch = store.ReadChanges(spec.Type, spec.Selection, position);
        foreach (var (type, o) in batch.Events)
            await WriteAsync(response, type, writer.Watched(o), cancellationToken);
        return batch.Position;
    }

    /// <summary>Waits for a change; false if a bookmark is due before one happens.</summary>
    private async Task<bool> WaitForChangeAsync(long position, CancellationToken cancellationToken)
    {
        try
        {
            await store.WaitForChangeAsync(position).WaitAsync(spec.BookmarkInterval, time, cancellationToken);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private async Task<bool> ApplyFaultAsync(HttpContext context, CancellationToken cancellationToken)
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
