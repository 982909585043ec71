// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace VpcCni.MissedDels;

/// <summary>
/// Reads and writes records of missed DELs as JSON. Unknown members are ignored, so that a newer plugin may write more to an older daemon.
/// </summary>
public static class MissedDelFormat
{
    /// <summary>Format version; raised when older readers would misinterpret a record.</summary>
    private const int Version = 1;

    /// <summary>Maximum length of a name or id; far more than runtimes use.</summary>
    private const int MaxNameLength = 1024;

    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 8 };

    public static byte[] Write(MissedDel del)
    {
        var output = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(output, Writing))
        {
            json.WriteStartObject();
            json.WriteNumber("version"u8, Version);
            json.WriteString("networkName"u8, del.NetworkName);
            json.WriteString("containerID"u8, del.ContainerId);
            json.WriteString("ifName"u8, del.InterfaceName);
            json.WriteString("at"u8, del.At.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
            json.WriteNumber("sinceBootNanoseconds"u8, del.SinceBoot.Ticks * TimeSpan.NanosecondsPerTick);
            json.WriteString("bootID"u8, del.BootId);
            json.WriteEndObject();
        }

        return output.WrittenSpan.ToArray();
    }

    /// <exception cref="FormatException">The content is not a record; the message says what was expected.</exception>
    public static MissedDel Read(ReadOnlyMemory<byte> content)
    {
        try
        {
            using var document = JsonDocument.Parse(content, Reading);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
                throw new FormatException($"it is a JSON {root.ValueKind}, expected an object");
            if (Number(root, "version") is var version && version != Version)
                throw new FormatException($"it has version {version}, expected {Version}");
            return new MissedDel(
                Text(root, "networkName", mayBeEmpty: true),
                Text(root, "containerID"),
                Text(root, "ifName"),
                Time(root, "at"),
                Duration(root, "sinceBootNanoseconds"),
                Text(root, "bootID")
            );
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a string has a lone surrogate, which is only detected when it is read.
            throw new FormatException($"it is not JSON: {exception.Message}", exception);
        }
    }

    private static string Text(JsonElement root, string name, bool mayBeEmpty = false)
    {
        if (!root.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String)
            throw new FormatException($"{name} is not a string");
        var text = value.GetString()!;
        return text.Length > MaxNameLength || (text.Length == 0 && !mayBeEmpty)
            ? throw new FormatException($"{name} has {text.Length} characters, expected {(mayBeEmpty ? 0 : 1)} to {MaxNameLength}")
            : text;
    }

    private static long Number(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number)
            ? number
            : throw new FormatException($"{name} is not an integer");

    private static TimeSpan Duration(JsonElement root, string name) =>
        Number(root, name) is >= 0 and var nanoseconds
            ? TimeSpan.FromTicks(nanoseconds / TimeSpan.NanosecondsPerTick)
            : throw new FormatException($"{name} is negative");

    private static DateTimeOffset Time(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.TryGetDateTimeOffset(out var at)
            ? at.ToUniversalTime()
            : throw new FormatException($"{name} is not a time, expected e.g. 2026-01-02T03:04:05.678Z");
}
