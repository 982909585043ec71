// SPDX-License-Identifier: Apache-2.0
using Google.Protobuf.WellKnownTypes;
using VpcCni.Ipamd.Cli;
using VpcCni.Protos.V1;
using Xunit;

namespace VpcCni.Ipamd.Tests.Cli;

public sealed class PodReportTests
{
    private const string LongName = "a-deployment-with-a-very-long-name-5968f7c9d4-x7k2p";
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Pipe_gets_every_column_and_full_names()
    {
        var lines = Lines(columns: null);
        Assert.Equal($"10.0.0.12         1 4m05s   0123456789ab default/{LongName}", lines[1]);
    }

    [Fact]
    public void Wide_terminal_gets_the_same_text() => Assert.Equal(Lines(columns: null), Lines(columns: 120));

    [Fact]
    public void Narrow_terminal_gets_no_sandboxes() =>
        Assert.Equal($"10.0.0.12         1 4m05s   default/{LongName}", Lines(columns: 90)[1]);

    [Theory]
    [InlineData(80)]
    [InlineData(60)]
    [InlineData(50)]
    public void Long_name_is_truncated_in_the_middle(int columns)
    {
        var lines = Lines(columns);
        Assert.All(lines, line => Assert.True(line.Length <= columns, line));
        Assert.Contains("...", lines[1], StringComparison.Ordinal);
        Assert.EndsWith("x7k2p", lines[1], StringComparison.Ordinal);
        Assert.Contains("default/", lines[1], StringComparison.Ordinal);
        Assert.EndsWith("default/web", lines[2], StringComparison.Ordinal);
    }

    private static string[] Lines(int? columns)
    {
        var reply = new ListAttachmentsReply();
        foreach (var (name, address) in new[] { (LongName, "10.0.0.12"), ("web", "10.0.0.13") })
        {
            reply.Attachments.Add(
                new Attachment
                {
                    Key = new AttachmentKey
                    {
                        NetworkName = "aws-cni",
                        ContainerId = "0123456789abcdef",
                        InterfaceName = "eth0",
                    },
                    PodNamespace = "default",
                    PodName = name,
                    Addresses = { address },
                    DeviceIndex = 1,
                    AssignedAt = Timestamp.FromDateTimeOffset(Now.AddSeconds(-245)),
                }
            );
        }

        return PodReport.Text(reply, Now, columns).TrimEnd('\n').Split('\n');
    }
}
