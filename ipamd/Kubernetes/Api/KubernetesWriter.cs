// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Text;
using System.Text.Json;
using k8s;
using k8s.Models;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>Writes events and annotations with the client package.</summary>
internal sealed class KubernetesWriter(KubernetesConnection connection, string nodeName) : IClusterWriter
{
    private const string Component = "vpc-cni";

    /// <summary>Namespace of events on cluster-scoped objects.</summary>
    private const string NamespaceOfNodeEvents = "default";

    public async Task<PodFacts?> FindPodAsync(PodReference pod, CancellationToken cancellationToken)
    {
        if (!ObjectName.IsValid(pod.Namespace) || !ObjectName.IsValid(pod.Name))
            return null;
        try
        {
            var found = await connection.CallAsync(
                $"get pod {pod}",
                client => client.CoreV1.ReadNamespacedPodAsync(pod.Name, pod.Namespace, cancellationToken: cancellationToken),
                cancellationToken
            );
            return new PodFacts(
                found?.Metadata?.Uid ?? "",
                found?.Spec?.NodeName ?? "",
                found?.Metadata?.CreationTimestamp is { } created ? new DateTimeOffset(created, TimeSpan.Zero) : null
            );
        }
        catch (ClusterException failure) when (failure.Kind == ClusterErrorKind.NotFound)
        {
            return null;
        }
    }

    public Task CreateEventAsync(EventRecord item, CancellationToken cancellationToken)
    {
        var inNamespace = NamespaceOf(item);
        var happened = new Corev1Event
        {
            Metadata = new V1ObjectMeta { Name = item.Name, NamespaceProperty = inNamespace },
            InvolvedObject = new V1ObjectReference
            {
                ApiVersion = "v1",
                Kind = item.Subject.IsNode ? "Node" : "Pod",
                Name = item.Subject.Name,
                NamespaceProperty = item.Subject.IsNode ? null : item.Subject.Namespace,
                Uid = item.Uid,
            },
            Type = item.Reason == EventReasons.PodNetworkReady ? "Normal" : "Warning",
            Reason = item.Reason,
            Message = item.Message,
            Count = item.Count,
            FirstTimestamp = Seconds(item.First),
            LastTimestamp = Seconds(item.Last),
            Source = new V1EventSource { Component = Component, Host = nodeName },
        };
        return CallAsync(
            $"create event {item.Reason} of {item.Subject}",
            inNamespace,
            item.Name,
            client => client.CoreV1.CreateNamespacedEventAsync(happened, inNamespace, cancellationToken: cancellationToken),
            cancellationToken
        );
    }

    public Task UpdateEventAsync(EventRecord item, CancellationToken cancellationToken)
    {
        var patch = MergePatch(json =>
        {
            json.WriteNumber("count", item.Count);
            json.WriteString("lastTimestamp", Seconds(item.Last));
            json.WriteString("message", item.Message);
        });
        return CallAsync(
            $"update event {item.Reason} of {item.Subject}",
            NamespaceOf(item),
            item.Name,
            client => client.CoreV1.PatchNamespacedEventAsync(patch, item.Name, NamespaceOf(item), cancellationToken: cancellationToken),
            cancellationToken
        );
    }

    public async Task<string> AnnotatePodAsync(
        PodReference pod,
        string? uid,
        string annotation,
        string value,
        CancellationToken cancellationToken
    )
    {
        var patch = MergePatch(json =>
        {
            json.WriteStartObject("metadata");
            if (uid is not null)
                json.WriteString("uid", uid);
            json.WriteStartObject("annotations");
            json.WriteString(annotation, value);
            json.WriteEndObject();
            json.WriteEndObject();
        });
        var annotated = await CallAsync(
            $"annotate pod {pod}",
            pod.Namespace,
            pod.Name,
            client => client.CoreV1.PatchNamespacedPodAsync(patch, pod.Name, pod.Namespace, cancellationToken: cancellationToken),
            cancellationToken
        );
        return annotated?.Metadata?.Uid ?? "";
    }

    /// <summary>
    /// Sends a call only if its names are valid: the package copies names into URL paths, and these come from the container runtime.
    /// </summary>
    private Task<T> CallAsync<T>(
        string operation,
        string inNamespace,
        string name,
        Func<IKubernetes, Task<T>> call,
        CancellationToken cancellationToken
    ) =>
        ObjectName.IsValid(inNamespace) && ObjectName.IsValid(name)
            ? connection.CallAsync(operation, call, cancellationToken)
            : Task.FromException<T>(
                new ClusterException(
                    ClusterErrorKind.Refused,
                    operation,
                    $"'{inNamespace}/{name}' is not a valid object name; nothing was sent"
                )
            );

    private static string NamespaceOf(EventRecord item) => item.Subject.IsNode ? NamespaceOfNodeEvents : item.Subject.Namespace;

    /// <summary>Truncates to whole seconds, the resolution of the API.</summary>
    private static DateTime Seconds(DateTimeOffset at) => new(at.UtcTicks - (at.UtcTicks % TimeSpan.TicksPerSecond), DateTimeKind.Utc);

    private static V1Patch MergePatch(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return new V1Patch(Encoding.UTF8.GetString(buffer.WrittenSpan), V1Patch.PatchType.MergePatch);
    }
}
