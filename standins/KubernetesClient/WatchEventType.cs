// SPDX-License-Identifier: Apache-2.0
namespace k8s;

/// <summary>What an event of a watch means (Kubernetes API concepts, "Efficient detection of changes").</summary>
public enum WatchEventType
{
    /// <summary>The object is there, or has come to match the selector.</summary>
    Added,

    Modified,

    /// <summary>The object is gone, or no longer matches the selector.</summary>
    Deleted,

    /// <summary>Never yielded: told to <c>onError</c>.</summary>
    Error,

    /// <summary>Nothing happened up to the resource version of this object, which holds nothing else.</summary>
    Bookmark,
}
