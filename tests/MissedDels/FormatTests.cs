// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace VpcCni.MissedDels.Tests;

public sealed class FormatTests
{
    private static readonly MissedDel Note = new(
        "aws-cni",
        "c1",
        "eth0",
        new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero),
        TimeSpan.FromTicks(47_110_000_001),
        "boot"
    );

    [Fact]
    public void A_note_is_read_as_it_was_written() => Assert.Equal(Note, MissedDelFormat.Read(MissedDelFormat.Write(Note)));

    [Fact]
    public void Names_of_any_characters_are_read_as_they_were_written()
    {
        var note = Note with { NetworkName = "", ContainerId = "a\"b\\c\u0001\u00fc\U0001f600/..", InterfaceName = new string('x', 1024) };

        Assert.Equal(note, MissedDelFormat.Read(MissedDelFormat.Write(note)));
    }

    [Fact]
    public void Members_of_a_newer_plugin_are_ignored()
    {
        var json = JsonNode.Parse(MissedDelFormat.Write(Note))!.AsObject();
        json["reason"] = new JsonObject { ["deep"] = 1 };

        Assert.Equal(Note, MissedDelFormat.Read(Encoding.UTF8.GetBytes(json.ToJsonString())));
    }

    [Theory]
    [InlineData("", "no JSON")]
    [InlineData("{", "no JSON")]
    [InlineData("[]", "expected an object")]
    [InlineData("{}", "version is no whole number")]
    [InlineData("""{"version":2}""", "expected 1")]
    [InlineData("""{"version":1}""", "networkName is no string")]
    public void What_is_no_note_is_refused_with_a_reason(string content, string reason) =>
        Assert.Contains(
            reason,
            Assert.Throws<FormatException>(() => MissedDelFormat.Read(Encoding.UTF8.GetBytes(content))).Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("containerID", "\"\"", "containerID has 0 characters")]
    [InlineData("containerID", "7", "containerID is no string")]
    [InlineData("containerID", "\"\\ud800\"", "no JSON")]
    [InlineData("at", "\"yesterday\"", "at is no time")]
    [InlineData("sinceBootNanoseconds", "-1", "negative")]
    [InlineData("sinceBootNanoseconds", "1e400", "no whole number")]
    [InlineData("bootID", "null", "bootID is no string")]
    public void A_member_that_is_wrong_is_named(string member, string value, string reason)
    {
        var json = JsonNode.Parse(MissedDelFormat.Write(Note))!.AsObject();
        json.Remove(member);
        var content = Encoding.UTF8.GetBytes($"{json.ToJsonString()[..^1]},\"{member}\":{value}}}");

        Assert.Contains(reason, Assert.Throws<FormatException>(() => MissedDelFormat.Read(content)).Message, StringComparison.Ordinal);
    }

    /// <summary>
    /// A write that was cut anywhere, and one octet of each note that is another: refused, or read as something; never another exception.
    /// </summary>
    [Fact]
    public void Damage_is_refused_or_read()
    {
        var content = MissedDelFormat.Write(Note);
        for (var length = 0; length < content.Length; length++)
            Assert.Throws<FormatException>(() => MissedDelFormat.Read(content.AsMemory(0, length)));
        var random = new Random(1);
        for (var round = 0; round < 5000; round++)
        {
            var damaged = content.ToArray();
            damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            try
            {
                _ = MissedDelFormat.Read(damaged);
            }
            catch (FormatException)
            {
                // As it should be.
            }
        }
    }
}
