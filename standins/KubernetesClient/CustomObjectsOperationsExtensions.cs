// SPDX-License-Identifier: Apache-2.0
using k8s.Internal;

namespace k8s;

/// <summary>
/// Operations on resources of the cluster's scope that a CustomResourceDefinition defines. Objects are <see cref="System.Text.Json.JsonElement"/>s. Exceptions: as with <see cref="CoreV1OperationsExtensions"/>.
/// </summary>
public static class CustomObjectsOperationsExtensions
{
    public static async Task<object> GetClusterCustomObjectAsync(
        this ICustomObjectsOperations operations, string group, string version, string plural, string name, CancellationToken cancellationToken = default)
        => await Api(operations).GetAsync(new ResourcePath("apis", group, version, plural, name), KubernetesJsonContext.Default.JsonElement, cancellationToken);

    public static async Task<object> ListClusterCustomObjectAsync(
        this ICustomObjectsOperations operations,
        string group,
        string version,
        string plural,
        bool? allowWatchBookmarks = null,
        string? continueParameter = null,
        string? fieldSelector = null,
        string? labelSelector = null,
        int? limit = null,
        string? resourceVersion = null,
        string? resourceVersionMatch = null,
        int? timeoutSeconds = null,
        bool? pretty = null,
        CancellationToken cancellationToken = default)
        => await Api(operations).GetAsync(
            CoreV1OperationsExtensions.ListPath(Plural(group, version, plural), allowWatchBookmarks, continueParameter, fieldSelector, labelSelector, limit, resourceVersion, resourceVersionMatch, null, timeoutSeconds, pretty),
            KubernetesJsonContext.Default.JsonElement,
            cancellationToken);

    /// <summary>Changes from <paramref name="resourceVersion"/> on, until the server ends the watch.</summary>
    /// <param name="onError">As with <see cref="CoreV1OperationsExtensions.WatchListNodeAsync"/>.</param>
    public static async IAsyncEnumerable<(WatchEventType Type, object Item)> WatchListClusterCustomObjectAsync(
        this ICustomObjectsOperations operations,
        string group,
        string version,
        string plural,
        bool? allowWatchBookmarks = null,
        string? continueParameter = null,
        string? fieldSelector = null,
        string? labelSelector = null,
        int? limit = null,
        string? resourceVersion = null,
        string? resourceVersionMatch = null,
        int? timeoutSeconds = null,
        bool? pretty = null,
        Action<Exception>? onError = null,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var path = CoreV1OperationsExtensions.ListPath(
            Plural(group, version, plural), allowWatchBookmarks, continueParameter, fieldSelector, labelSelector, limit, resourceVersion, resourceVersionMatch, null, timeoutSeconds, pretty);
        await foreach (var (type, item) in Api(operations).WatchAsync(path, KubernetesJsonContext.Default.JsonElement, onError, cancellationToken)) yield return (type, item);
    }

    private static string Plural(string group, string version, string plural) => new ResourcePath("apis", group, version, plural).ToString();

    private static ApiClient Api(ICustomObjectsOperations operations)
    {
        ArgumentNullException.ThrowIfNull(operations);
        return operations.Api;
    }
}
