// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Globalization;
using System.Text;

namespace VpcCni.Logging;

/// <summary>
/// Builds a log line: time, level, msg, then fields in the order of their addition. Reusable; not thread-safe. Both formats escape quoted
/// values as in JSON, including characters that would break a line or change the text direction of a terminal.
/// </summary>
public sealed class LogLine(LogFormat format)
{
    private readonly ArrayBufferWriter<byte> _buffer = new(512);
    private int _fields;

    public void Start(DateTimeOffset time, string level, string message)
    {
        _buffer.ResetWrittenCount();
        _fields = 0;
        if (format == LogFormat.Json)
            Write("{"u8);
        Span<byte> stamp = stackalloc byte[32];
        time.UtcDateTime.TryFormat(stamp, out var length, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        Name(FieldNames.Time, first: true);
        if (format == LogFormat.Json)
            Write("\""u8);
        Write(stamp[..length]);
        if (format == LogFormat.Json)
            Write("\""u8);
        Name(FieldNames.Level);
        Text(level, LogLimits.Value);
        Name(FieldNames.Message);
        Text(message, LogLimits.Message);
    }

    /// <summary>Adds a string. Null and empty values are left out.</summary>
    public void Add(string name, string? value, int longest = LogLimits.Value)
    {
        if (string.IsNullOrEmpty(value) || !Field(name))
            return;
        Text(value, longest);
    }

    public void Add(string name, long value)
    {
        if (Field(name))
            Formatted(value, default);
    }

    /// <summary>Adds a number with at most three decimals; a value that JSON has no number for becomes a string.</summary>
    public void Add(string name, double value)
    {
        if (!Field(name))
            return;
        if (double.IsFinite(value))
            Formatted(value, "0.###");
        else
            Text(value.ToString(CultureInfo.InvariantCulture), LogLimits.Value);
    }

    public void Add(string name, bool value)
    {
        if (Field(name))
            Write(value ? "true"u8 : "false"u8);
    }

    /// <summary>Returns the line with its terminator; valid until the next <see cref="Start"/>.</summary>
    public ReadOnlySpan<byte> End()
    {
        if (_fields > LogLimits.Fields)
        {
            Name("truncated");
            Write("true"u8);
        }
        Write(format == LogFormat.Json ? "}\n"u8 : "\n"u8);
        return _buffer.WrittenSpan;
    }

    private bool Field(string name)
    {
        if (_fields++ >= LogLimits.Fields)
            return false;
        Name(name);
        return true;
    }

    private void Name(string name, bool first = false)
    {
        if (format == LogFormat.Json)
        {
            if (!first)
                Write(","u8);
            Write("\""u8);
            Ascii(name);
            Write("\":"u8);
        }
        else
        {
            if (!first)
                Write(" "u8);
            Ascii(name);
            Write("="u8);
        }
    }

    private void Formatted<T>(T value, ReadOnlySpan<char> format)
        where T : IUtf8SpanFormattable
    {
        var span = _buffer.GetSpan(64);
        // 64 bytes fit every long; a double with more digits gets its shortest form.
        if (!value.TryFormat(span, out var length, format, CultureInfo.InvariantCulture))
            value.TryFormat(span, out length, "R", CultureInfo.InvariantCulture);
        _buffer.Advance(length);
    }

    private void Text(string value, int longest)
    {
        var cut = value.Length > longest;
        var shown = cut ? value.AsSpan(0, longest) : value;
        var quoted = format == LogFormat.Json || cut || NeedsQuotes(shown);
        if (quoted)
            Write("\""u8);
        Escaped(shown);
        if (cut)
            Write("..."u8);
        if (quoted)
            Write("\""u8);
    }

    private static bool NeedsQuotes(ReadOnlySpan<char> value)
    {
        if (value.IsEmpty)
            return true;
        foreach (var c in value)
            if (c is <= ' ' or '"' or '=' or '\\' or > '~')
                return true;
        return false;
    }

    private void Escaped(ReadOnlySpan<char> value)
    {
        while (!value.IsEmpty)
        {
            var plain = 0;
            while (plain < value.Length && value[plain] is >= ' ' and <= '~' and not '"' and not '\\')
                plain++;
            Ascii(value[..plain]);
            value = value[plain..];
            if (value.IsEmpty)
                return;
            // A lone surrogate decodes as U+FFFD.
            _ = Rune.DecodeFromUtf16(value, out var rune, out var consumed);
            Escaped(rune);
            value = value[consumed..];
        }
    }

    private void Escaped(Rune rune)
    {
        switch (rune.Value)
        {
            case '"':
                Write("\\\""u8);
                return;
            case '\\':
                Write("\\\\"u8);
                return;
            case '\n':
                Write("\\n"u8);
                return;
            case '\r':
                Write("\\r"u8);
                return;
            case '\t':
                Write("\\t"u8);
                return;
        }
        // Escapes control and format characters (including bidirectional overrides), line and paragraph separators, and unassigned code
        // points.
        var isShown =
            Rune.GetUnicodeCategory(rune)
            is not (
                UnicodeCategory.Control
                or UnicodeCategory.Format
                or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator
                or UnicodeCategory.PrivateUse
                or UnicodeCategory.OtherNotAssigned
            );
        if (isShown)
        {
            _buffer.Advance(rune.EncodeToUtf8(_buffer.GetSpan(4)));
            return;
        }
        Span<char> units = stackalloc char[2];
        foreach (var unit in units[..rune.EncodeToUtf16(units)])
        {
            var span = _buffer.GetSpan(6);
            "\\u"u8.CopyTo(span);
            ((int)unit).TryFormat(span[2..], out _, "x4", CultureInfo.InvariantCulture);
            _buffer.Advance(6);
        }
    }

    private void Ascii(ReadOnlySpan<char> text)
    {
        var span = _buffer.GetSpan(text.Length);
        for (var i = 0; i < text.Length; i++)
            span[i] = (byte)text[i];
        _buffer.Advance(text.Length);
    }

    private void Write(ReadOnlySpan<byte> bytes) => _buffer.Write(bytes);
}
