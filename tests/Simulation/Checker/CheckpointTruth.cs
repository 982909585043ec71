// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;

namespace VpcCni.Simulation.Tests.Checker;

/// <summary>What the checkpoint's bytes say, read as any JSON.</summary>
internal static class CheckpointTruth
{
    /// <summary>Changes of the cloud that are recorded as begun and not as ended; null when there are none.</summary>
    public static string? OpenIntents(byte[]? content)
    {
        if (content is null) return null;
        using var document = JsonDocument.Parse(content);
        return document.RootElement.TryGetProperty("vpccni", out var ours) && ours.TryGetProperty("intents", out var intents) && intents.GetArrayLength() > 0
            ? $"the checkpoint has {intents.GetArrayLength()} open intents: {intents.GetRawText()}"
            : null;
    }
}
