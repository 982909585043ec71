// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Text;

namespace Grpc.Core;

public sealed partial class Metadata
{
    /// <summary>One name and its value. Immutable; the bytes are copied in and out.</summary>
    public class Entry
    {
        private static readonly SearchValues<char> KeyCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_-.");

        private readonly string? _value;
        private readonly byte[]? _valueBytes;

        /// <summary>A binary entry: <paramref name="key"/> has to end in "-bin".</summary>
        public Entry(string key, byte[] valueBytes)
        {
            Key = NormalizeKey(key);
            if (!IsBinary) throw new ArgumentException($"The metadata name '{key}' is not binary, so its value has to be text. Names of binary entries end in '-bin'.", nameof(key));
            ArgumentNullException.ThrowIfNull(valueBytes);
            _valueBytes = [.. valueBytes];
        }

        /// <summary>A text entry: <paramref name="key"/> does not end in "-bin".</summary>
        public Entry(string key, string value)
        {
            Key = NormalizeKey(key);
            if (IsBinary) throw new ArgumentException($"The metadata name '{key}' is binary (it ends in '-bin'), so its value has to be bytes.", nameof(key));
            ArgumentNullException.ThrowIfNull(value);
            _value = value;
        }

        public string Key { get; }

        public bool IsBinary => Key.EndsWith(BinaryHeaderSuffix, StringComparison.Ordinal);

        /// <summary>The text. Throws InvalidOperationException if the entry is binary.</summary>
        public string Value => _value ?? throw new InvalidOperationException($"The metadata entry '{Key}' is binary and has no text; read ValueBytes.");

        /// <summary>A copy of the bytes, or the text as ASCII.</summary>
        public byte[] ValueBytes => _valueBytes is null ? Encoding.ASCII.GetBytes(_value!) : [.. _valueBytes];

        internal ReadOnlySpan<byte> RawBytes => _valueBytes;

        public override string ToString() => IsBinary ? $"[Entry: key={Key}, valueBytes={Convert.ToHexString(_valueBytes!)}]" : $"[Entry: key={Key}, value={_value}]";

        internal bool KeyEqualsIgnoreCase(string key) => string.Equals(Key, key, StringComparison.OrdinalIgnoreCase);

        private static string NormalizeKey(string key)
        {
            ArgumentNullException.ThrowIfNull(key);
            var normalized = key.ToLowerInvariant();
            if (normalized.Length == 0 || normalized.AsSpan().ContainsAnyExcept(KeyCharacters))
                throw new ArgumentException($"'{key}' is not a metadata name: expected one or more of a-z 0-9 _ - .", nameof(key));
            return normalized;
        }
    }
}
