// SPDX-License-Identifier: Apache-2.0
namespace k8s.Models;

/// <summary>A change to an object.</summary>
public class V1Patch
{
    /// <param name="body">The patch as JSON text.</param>
    /// <param name="type">How the text is meant.</param>
    /// <exception cref="ArgumentException">No text, or no kind of patch.</exception>
    public V1Patch(object body, PatchType type)
    {
        Text = body as string ?? throw new ArgumentException("this client takes a patch as a string of JSON", nameof(body));
        (Content, Type, MediaType) = (body, type, type switch
        {
            PatchType.JsonPatch => "application/json-patch+json",
            PatchType.MergePatch => "application/merge-patch+json",
            PatchType.StrategicMergePatch => "application/strategic-merge-patch+json",
            PatchType.ApplyPatch => "application/apply-patch+yaml",
            _ => throw new ArgumentException($"{type} is not a kind of patch", nameof(type)),
        });
    }

    public enum PatchType
    {
        Unknown,
        JsonPatch,
        MergePatch,
        StrategicMergePatch,
        ApplyPatch,
    }

    public object Content { get; }

    public PatchType Type { get; }

    internal string Text { get; }

    internal string MediaType { get; }
}
