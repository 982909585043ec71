// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json;
using Xunit;

namespace VpcCni.Logging.Tests;

public sealed class LogLineTests
{
    private static readonly DateTimeOffset Time = new(2026, 3, 1, 12, 0, 5, 42, TimeSpan.FromHours(2));

    [Fact]
    public void Text_starts_with_time_level_and_message_and_is_quoted_as_needed()
    {
        var line = Line(
            LogFormat.Text,
            "address assigned",
            fields =>
            {
                fields.Add("pod", "default/web-1");
                fields.Add("error", "two words, a \"quote\"\nand a line");
                fields.Add("empty", "");
                fields.Add("durationMs", 1.23456);
                fields.Add("count", 3);
                fields.Add("isNew", true);
            }
        );

        Assert.Equal(
            """time=2026-03-01T10:00:05.042Z level=info msg="address assigned" pod=default/web-1 error="two words, a \"quote\"\nand a line" durationMs=1.235 count=3 isNew=true"""
                + "\n",
            line
        );
    }

    [Fact]
    public void Json_has_the_same_fields_in_order_and_unquoted_numbers()
    {
        var line = Line(
            LogFormat.Json,
            "address assigned",
            fields =>
            {
                fields.Add("pod", "default/web-1");
                fields.Add("durationMs", 1.5);
                fields.Add("count", 3);
                fields.Add("isNew", false);
                fields.Add("none", double.NaN);
            }
        );

        Assert.Equal(
            """{"time":"2026-03-01T10:00:05.042Z","level":"info","msg":"address assigned","pod":"default/web-1","durationMs":1.5,"count":3,"isNew":false,"none":"NaN"}"""
                + "\n",
            line
        );
    }

    [Theory]
    [InlineData("\u001b[31m")]
    [InlineData("a\u202Eb")]
    [InlineData("a\u2028b")]
    [InlineData("\u0000\u0085\u200b")]
    public void Characters_that_change_a_terminal_are_escaped(string value)
    {
        foreach (var format in Enum.GetValues<LogFormat>())
        {
            var line = Line(format, value, fields => fields.Add("error", value));
            Assert.All(line[..^1], static c => Assert.InRange(c, ' ', '~'));
        }
        Assert.Equal(value, JsonDocument.Parse(Line(LogFormat.Json, value)).RootElement.GetProperty("msg").GetString());
    }

    [Theory]
    [InlineData("\ud800")]
    [InlineData("a\udc00b")]
    [InlineData("\ud83d\ude00 é 漢")]
    public void Every_string_gives_a_line_that_parses(string value)
    {
        var json = JsonDocument.Parse(Line(LogFormat.Json, value, fields => fields.Add("error", value))).RootElement;
        Assert.Equal(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(value)), json.GetProperty("error").GetString());
        Assert.EndsWith("\n", Line(LogFormat.Text, value), StringComparison.Ordinal);
    }

    [Fact]
    public void Values_and_the_number_of_fields_are_bounded()
    {
        var line = Line(
            LogFormat.Json,
            new string('m', 1_000_000),
            fields =>
            {
                fields.Add("stack", new string('s', 1_000_000), LogLimits.Stack);
                for (var i = 0; i < 100; i++)
                    fields.Add($"field{i}", new string('\u0001', 1_000_000));
            }
        );

        // An escaped character takes six bytes.
        Assert.InRange(line.Length, 0, (LogLimits.Fields * LogLimits.Value * 6) + LogLimits.Stack + 2000);
        var json = JsonDocument.Parse(line).RootElement;
        Assert.True(json.GetProperty("truncated").GetBoolean());
        Assert.Equal(new string('m', LogLimits.Message) + "...", json.GetProperty("msg").GetString());
        Assert.Equal(3 + LogLimits.Fields + 1, json.EnumerateObject().Count());
    }

    [Fact]
    public void Line_can_be_reused()
    {
        var line = new LogLine(LogFormat.Text);
        line.Start(Time, "info", "a long first message");
        line.End();
        line.Start(Time, "warn", "second");
        Assert.Equal("time=2026-03-01T10:00:05.042Z level=warn msg=second\n", Encoding.UTF8.GetString(line.End()));
    }

    private static string Line(LogFormat format, string message, Action<LogLine>? fields = null)
    {
        var line = new LogLine(format);
        line.Start(Time, "info", message);
        fields?.Invoke(line);
        return Encoding.UTF8.GetString(line.End());
    }
}
