// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>A named value of a log line. In JSON a number is written as one (docs/logs.md).</summary>
internal readonly record struct PluginLogField(string Name, string? Text, int? Number)
{
    public static implicit operator PluginLogField((string Name, string? Value) field) => new(field.Name, field.Value, Number: null);

    public static implicit operator PluginLogField((string Name, int Value) field) => new(field.Name, Text: null, field.Value);
}
