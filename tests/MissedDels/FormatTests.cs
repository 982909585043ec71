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
    public void Record_is_read_as_written() => Assert.Equal(Note, MissedDelFormat.Read(MissedDelFormat.Write(Note)));

    [Fact]
    public void Names_with_any_characters_are_read_as_written()
    {
        var note = Note with { NetworkName = "", ContainerId = "a\"b\\c\u0001\u00fc\U0001f600/..", InterfaceName = new string('x', 1024) };

        Assert.Equal(note, MissedDelFormat.Read(MissedDelFormat.Write(note)));
    }

    [Fact]
    public void Unknown_members_are_ignored()
    {
        var json = JsonNode.Parse(MissedDelFormat.Write(Note))!.AsObject();
        json["reason"] = new JsonObject { ["deep"] = 1 };

        Assert.Equal(Note, MissedDelFormat.Read(Encoding.UTF8.GetBytes(json.ToJsonString())));
    }

    [Theory]
    [InlineData("", "not JSON")]
    [InlineData("{", "not JSON")]
    [InlineData("[]", "expected an object")]
    [InlineData("{}", "version is not an integer")]
    [InlineData("""{"version":2}""", "expected 1")]
    [InlineData("""{"version":1}""", "networkName is not a string")]
    public void Invalid_record_is_rejected_with_a_reason(string content, string reason) =>
        Assert.Contains(
            reason,
            Assert.Throws<FormatException>(() => MissedDelFormat.Read(Encoding.UTF8.GetBytes(content))).Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("containerID", "\"\"", "containerID has 0 characters")]
    [InlineData("containerID", "7", "containerID is not a string")]
    [InlineData("containerID", "\"\\ud800\"", "not JSON")]
    [InlineData("at", "\"yesterday\"", "at is not a time")]
    [InlineData("sinceBootNanoseconds", "-1", "negative")]
    [InlineData("sinceBootNanoseconds", "1e400", "not an integer")]
    [InlineData("bootID", "null", "bootID is not a string")]
    public void Invalid_member_is_named(string member, string value, string reason)
    {
        var json = JsonNode.Parse(MissedDelFormat.Write(Note))!.AsObject();
        json.Remove(member);
        var content = Encoding.UTF8.GetBytes($"{json.ToJsonString()[..^1]},\"{member}\":{value}}}");

        Assert.Contains(reason, Assert.Throws<FormatException>(() => MissedDelFormat.Read(content)).Message, StringComparison.Ordinal);
    }

    /// <summary>
    /// A record that is truncated at any byte, or has any one byte changed, is rejected or read as something; no other exception occurs.
    /// </summary>
    [Fact]
    public void Damaged_record_is_rejected_or_read()
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
                // Expected.
            }
        }
    }
}
