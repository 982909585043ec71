// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.KubeApi.Store;

/// <summary>
/// Converts events between the core group, in whose form they are stored, and <c>events.k8s.io/v1</c>, which renames fields.
/// </summary>
internal static class EventConversion
{
    private static readonly (string Core, string Events)[] Names =
    [
        ("involvedObject", "regarding"),
        ("message", "note"),
        ("reportingComponent", "reportingController"),
        ("source", "deprecatedSource"),
        ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp"),
        ("count", "deprecatedCount"),
    ];

    public static ObjectConversion Instance { get; } =
        new(
            stored => Rename(stored, name => Names.FirstOrDefault(pair => pair.Core == name).Events),
            shown => Rename(shown, name => Names.FirstOrDefault(pair => pair.Events == name).Core)
        );

    private static JsonObject Rename(JsonObject from, Func<string, string?> newName)
    {
        var to = new JsonObject();
        foreach (var (name, value) in from)
            to[newName(name) ?? name] = value?.DeepClone();
        return to;
    }
}
