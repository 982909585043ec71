// SPDX-License-Identifier: Apache-2.0
using k8s.Internal;
using k8s.Models;

namespace k8s;

/// <summary>
/// Operations of the group <c>v1</c>. All of them throw <see cref="Autorest.HttpOperationException"/> when the server refuses, <see cref="HttpRequestException"/> or <see cref="IOException"/> when it cannot be
/// reached or its answer is too large, <see cref="System.Text.Json.JsonException"/> when the answer is not what was asked for, and <see cref="OperationCanceledException"/> when cancelled or out of time.
/// </summary>
public static class CoreV1OperationsExtensions
{
    public static Task<V1Node> ReadNodeAsync(this ICoreV1Operations operations, string name, bool? pretty = null, CancellationToken cancellationToken = default)
        => Api(operations).GetAsync(new ResourcePath("api/v1/nodes", name).With("pretty", pretty), KubernetesJsonContext.Default.V1Node, cancellationToken);

    public static Task<V1NodeList> ListNodeAsync(
        this ICoreV1Operations operations,
        bool? allowWatchBookmarks = null,
        string? continueParameter = null,
        string? fieldSelector = null,
        string? labelSelector = null,
        int? limit = null,
        string? resourceVersion = null,
        string? resourceVersionMatch = null,
        bool? sendInitialEvents = null,
        int? timeoutSeconds = null,
        bool? pretty = null,
        CancellationToken cancellationToken = default)
        => Api(operations).GetAsync(
            ListPath("api/v1/nodes", allowWatchBookmarks, continueParameter, fieldSelector, labelSelector, limit, resourceVersion, resourceVersionMatch, sendInitialEvents, timeoutSeconds, pretty),
            KubernetesJsonContext.Default.V1NodeList,
            cancellationToken);

    /// <summary>Changes from <paramref name="resourceVersion"/> on, until the server ends the watch.</summary>
    /// <param name="onError">Told what cannot be yielded: an error of the server (<see cref="KubernetesException"/>), a line that is not an event. The watch goes on unless it is cancelled.</param>
    public static IAsyncEnumerable<(WatchEventType Type, V1Node Item)> WatchListNodeAsync(
        this ICoreV1Operations operations,
        bool? allowWatchBookmarks = null,
        string? continueParameter = null,
        string? fieldSelector = null,
        string? labelSelector = null,
        int? limit = null,
        string? resourceVersion = null,
        string? resourceVersionMatch = null,
        bool? sendInitialEvents = null,
        int? timeoutSeconds = null,
        bool? pretty = null,
        Action<Exception>? onError = null,
        CancellationToken cancellationToken = default)
        => Api(operations).WatchAsync(
            ListPath("api/v1/nodes", allowWatchBookmarks, continueParameter, fieldSelector, labelSelector, limit, resourceVersion, resourceVersionMatch, sendInitialEvents, timeoutSeconds, pretty),
            KubernetesJsonContext.Default.V1Node,
            onError,
            cancellationToken);

    public static Task<V1Pod> ReadNamespacedPodAsync(
        this ICoreV1Operations operations, string name, string namespaceParameter, bool? pretty = null, CancellationToken cancellationToken = default)
        => Api(operations).GetAsync(new ResourcePath("api/v1", "namespaces", namespaceParameter, "pods", name).With("pretty", pretty), KubernetesJsonContext.Default.V1Pod, cancellationToken);

    public static Task<V1Pod> PatchNamespacedPodAsync(
        this ICoreV1Operations operations,
        V1Patch body,
        string name,
        string namespaceParameter,
        string? dryRun = null,
        string? fieldManager = null,
        string? fieldValidation = null,
        bool? force = null,
        bool? pretty = null,
        CancellationToken cancellationToken = default)
        => Api(operations).PatchAsync(
            new ResourcePath("api/v1", "namespaces", namespaceParameter, "pods", name)
                .With("dryRun", dryRun).With("fieldManager", fieldManager).With("fieldValidation", fieldValidation).With("force", force).With("pretty", pretty),
            body,
            KubernetesJsonContext.Default.V1Pod,
            cancellationToken);

    public static Task<Corev1Event> CreateNamespacedEventAsync(
        this ICoreV1Operations operations,
        Corev1Event body,
        string namespaceParameter,
        string? dryRun = null,
        string? fieldManager = null,
        string? fieldValidation = null,
        bool? pretty = null,
        CancellationToken cancellationToken = default)
        => Api(operations).PostAsync(
            new ResourcePath("api/v1", "namespaces", namespaceParameter, "events")
                .With("dryRun", dryRun).With("fieldManager", fieldManager).With("fieldValidation", fieldValidation).With("pretty", pretty),
            body,
            KubernetesJsonContext.Default.Corev1Event,
            cancellationToken);

    public static Task<Corev1Event> PatchNamespacedEventAsync(
        this ICoreV1Operations operations,
        V1Patch body,
        string name,
        string namespaceParameter,
        string? dryRun = null,
        string? fieldManager = null,
        string? fieldValidation = null,
        bool? force = null,
        bool? pretty = null,
        CancellationToken cancellationToken = default)
        => Api(operations).PatchAsync(
            new ResourcePath("api/v1", "namespaces", namespaceParameter, "events", name)
                .With("dryRun", dryRun).With("fieldManager", fieldManager).With("fieldValidation", fieldValidation).With("force", force).With("pretty", pretty),
            body,
            KubernetesJsonContext.Default.Corev1Event,
            cancellationToken);

    internal static ResourcePath ListPath(
        string path,
        bool? allowWatchBookmarks,
        string? continueParameter,
        string? fieldSelector,
        string? labelSelector,
        int? limit,
        string? resourceVersion,
        string? resourceVersionMatch,
        bool? sendInitialEvents,
        int? timeoutSeconds,
        bool? pretty)
        => new ResourcePath(path)
            .With("allowWatchBookmarks", allowWatchBookmarks).With("continue", continueParameter).With("fieldSelector", fieldSelector).With("labelSelector", labelSelector).With("limit", limit)
            .With("resourceVersion", resourceVersion).With("resourceVersionMatch", resourceVersionMatch).With("sendInitialEvents", sendInitialEvents).With("timeoutSeconds", timeoutSeconds).With("pretty", pretty);

    private static ApiClient Api(ICoreV1Operations operations)
    {
        ArgumentNullException.ThrowIfNull(operations);
        return operations.Api;
    }
}
