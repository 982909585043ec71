// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Datapath;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Ledger;

public sealed class CheckpointTests
{
    private static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Intents_round_trip_and_an_unknown_kind_is_skipped()
    {
        var at = DateTimeOffset.UnixEpoch.AddDays(20_000);
        Intent[] intents =
        [
            new(1, at, "token", new PoolChange.AddInterface(new Slot(0, 2), "subnet-1", ["sg-1", "sg-2"], [new(Shapes.Ipv4Prefix, 3)]))
            {
                Created = new NetworkInterfaceId("eni-2"),
                Progress = "attach-2",
                Stage = IntentStage.Undoing,
                Since = at.AddHours(-2),
            },
            new(2, at, "t2", new PoolChange.AssignBlocks(new NetworkInterfaceId("eni-0"), "subnet-1", new(Shapes.Ipv4Address, 9))),
            new(
                3,
                at,
                "",
                new PoolChange.ReleaseBlocks(
                    new NetworkInterfaceId("eni-0"),
                    [System.Net.IPNetwork.Parse("10.0.0.16/28"), System.Net.IPNetwork.Parse("10.0.0.9/32")]
                )
            ),
            new(
                4,
                at,
                "t4",
                new PoolChange.RemoveInterface(new NetworkInterfaceId("eni-1"), new Slot(0, 1), System.Net.IPAddress.Parse("10.0.1.4"))
            )
            {
                Stage = IntentStage.Detached,
            },
            new(5, at, "t5", new PoolChange.AddInterface(new Slot(1, 3), "subnet-1", [], [new(Shapes.Ipv4Address, 1)])),
            new(6, at, "t6", new PoolChange.AddInterface(new Slot(0, 4), "subnet-1", [], [new(Shapes.Ipv4Address, 1)]))
            {
                Created = new NetworkInterfaceId("eni-4"),
                Stage = IntentStage.Created,
            },
            new(7, at, "t7", new PoolChange.AddInterface(new Slot(0, 5), "subnet-1", [], [new(Shapes.Ipv4Address, 1)]))
            {
                Created = new NetworkInterfaceId("eni-5"),
                Progress = "attach-5",
                Stage = IntentStage.Attached,
            },
        ];
        var record = LedgerRecord.Empty with
        {
            Intents = intents,
            RecentlyReleased = [(System.Net.IPNetwork.Parse("10.0.0.7/32"), at)],
            RecentlyDetached = [(new NetworkInterfaceId("eni-9"), at)],
            WrittenAt = new ClockReading(at, TimeSpan.FromSeconds(7)),
        };
        var written = CheckpointFormat.Write(record);
        var read = CheckpointFormat.Read(written);
        Assert.Equal(written, CheckpointFormat.Write(read));
        Assert.Equal(intents.Select(Facts), read.Intents.Select(Facts));
        static object Facts(Intent intent) =>
            (intent.Number, intent.At, intent.Since, intent.Token, intent.Stage, intent.Created, intent.Progress, intent.Description);
        Assert.Equal((record.WrittenAt, 1, 1), (read.WrittenAt, read.RecentlyReleased.Count, read.RecentlyDetached.Count));

        var foreign = CheckpointFormat.Read(
            System.Text.Encoding.UTF8.GetBytes(
                System.Text.Encoding.UTF8.GetString(written).Replace("assignBlocks", "borrowBlocks", StringComparison.Ordinal)
            )
        );
        Assert.Equal(6, foreign.Intents.Count);
        Assert.Contains("borrowBlocks", Assert.Single(foreign.UnreadableIntents), StringComparison.Ordinal);
    }

    /// <summary>What a daemon wrote before blocks had shapes and interfaces had slots.</summary>
    [Fact]
    public void Intents_of_an_earlier_version_are_read()
    {
        const string earlier = """
            {"version":"vpc-cni-ipam/1","allocations":[
              {"networkName":"aws-cni","containerID":"c","ifName":"eth0","ipv4":"10.0.0.10","allocationTimestamp":5,
               "vpccni":{"places":[{"interface":"eni-1","deviceIndex":1,"networkCard":0}]}}],
             "vpccni":{"intents":[
               {"number":1,"kind":"addInterface","at":5,"token":"t","subnet":"subnet-1","deviceIndex":2,"blockKind":"Ipv4Prefix","count":3},
               {"number":2,"kind":"assignBlocks","at":5,"interface":"eni-1","blockKind":"Ipv6Address","count":4},
               {"number":3,"kind":"assignBlocks","at":5,"interface":"eni-1","blockKind":"Ipv9","count":4},
               {"number":4,"kind":"addInterface","at":5,"token":"t","subnet":"s","interface":"eni-4","blockKind":"Ipv4Prefix","count":3},
               {"number":5,"kind":"addInterface","at":5,"token":"t","subnet":"s","interface":"eni-5","attachment":"a-5",
                "blockKind":"Ipv4Prefix","count":3},
               {"number":6,"kind":"addInterface","at":5,"token":"t","subnet":"s","interface":"eni-6","attachment":"a-6","lastStage":true,
                "blockKind":"Ipv4Prefix","count":3},
               {"number":7,"kind":"removeInterface","at":5,"interface":"eni-7","attachment":"a-7","deviceIndex":2,
                "primaryAddress":"10.0.1.4"},
               {"number":8,"kind":"removeInterface","at":5,"interface":"eni-8","attachment":"a-8","deviceIndex":2,
                "primaryAddress":"10.0.1.4","lastStage":true}]}}
            """;

        var record = CheckpointFormat.Read(Encoding.UTF8.GetBytes(earlier));

        var add = Assert.IsType<PoolChange.AddInterface>(record.Intents[0].Change);
        Assert.Equal(new Slot(0, 2), add.Slot);
        Assert.Equal([new BlockRequest(Shapes.Ipv4Prefix, 3)], add.Blocks);
        Assert.Equal(new BlockRequest(Shapes.Ipv6Address, 4), Assert.Single(record.Intents[1].Change.Requests));
        Assert.Contains("Ipv9", Assert.Single(record.UnreadableIntents));
        Assert.Equal(
            [
                (1, IntentStage.Begun, null),
                (2, IntentStage.Begun, null),
                (4, IntentStage.Created, null),
                (5, IntentStage.Attached, "a-5"),
                (6, IntentStage.Undoing, "a-6"),
                (7, IntentStage.Begun, "a-7"),
                (8, IntentStage.Detached, "a-8"),
            ],
            record.Intents.Select(intent => (intent.Number, intent.Stage, intent.Progress))
        );
        Assert.Equal(new Slot(0, 1), Assert.Single(record.Attachments).Interfaces[0].Slot!.Value.Slot);
    }

    [Fact]
    public void Record_round_trips()
    {
        var record = new LedgerRecord(
            [
                Attachment("a", "10.0.0.10") with
                {
                    NetnsPath = "/run/netns/a",
                    Interfaces =
                    [
                        new AttachmentInterface(
                            "eth0",
                            [IPAddress.Parse("10.0.0.10"), IPAddress.Parse("2001:db8::10")],
                            new InterfaceSlot(new NetworkInterfaceId("eni-1"), new Slot(0, 1))
                        ),
                        new AttachmentInterface(
                            "mNicIf1",
                            [IPAddress.Parse("10.0.3.10")],
                            new InterfaceSlot(new NetworkInterfaceId("eni-9"), new Slot(1, 0))
                        ),
                    ],
                },
                Attachment("b", "10.0.0.11"),
                Attachment("c", "2001:db8::7"),
            ],
            [new CoolingAddress(IPAddress.Parse("10.0.0.12"), Start.AddSeconds(-3))]
        );
        var read = CheckpointFormat.Read(CheckpointFormat.Write(record));
        Assert.Equal(record.Cooling, read.Cooling);
        Assert.Equal(record.Attachments.Count, read.Attachments.Count);
        foreach (var (wrote, got) in record.Attachments.Zip(read.Attachments))
        {
            Assert.Equal(wrote.Addresses, got.Addresses);
            Assert.Equal(wrote.Interfaces.Select(item => item.Name), got.Interfaces.Select(item => item.Name));
            Assert.Equal((wrote.Key, wrote.Pod, wrote.NetnsPath, wrote.AssignedAt), (got.Key, got.Pod, got.NetnsPath, got.AssignedAt));
        }
    }

    /// <summary>Checks each field that aws-node's decoder reads.</summary>
    [Fact]
    public void File_has_the_names_types_and_version_of_aws_node()
    {
        using var document = JsonDocument.Parse(CheckpointFormat.Write(new LedgerRecord([Attachment("a", "10.0.0.10")], [])));
        var root = document.RootElement;
        Assert.Equal("vpc-cni-ipam/1", root.GetProperty("version").GetString());
        var allocation = Assert.Single(root.GetProperty("allocations").EnumerateArray());
        Assert.Equal("aws-cni", allocation.GetProperty("networkName").GetString());
        Assert.Equal("a", allocation.GetProperty("containerID").GetString());
        Assert.Equal("eth0", allocation.GetProperty("ifName").GetString());
        Assert.Equal("10.0.0.10", allocation.GetProperty("ipv4").GetString());
        Assert.False(allocation.TryGetProperty("ipv6", out _));
        Assert.Equal((Start - DateTimeOffset.UnixEpoch).Ticks * 100, allocation.GetProperty("allocationTimestamp").GetInt64());
        Assert.Equal("default", allocation.GetProperty("metadata").GetProperty("k8sPodNamespace").GetString());
        Assert.Equal("a", allocation.GetProperty("metadata").GetProperty("k8sPodName").GetString());
        Assert.Equal(1, allocation.GetProperty("metadata").GetProperty("interfacesCount").GetInt32());
    }

    [Fact]
    public void File_of_aws_node_is_read()
    {
        const string file = """
            {"version":"vpc-cni-ipam/1","allocations":[
              {"networkName":"aws-cni","containerID":"c1","ifName":"eth0","ipv4":"10.0.0.10","allocationTimestamp":1700000000123456789,"metadata":{"k8sPodNamespace":"kube-system","k8sPodName":"coredns"}},
              {"networkName":"_migrated-from-cri","containerID":"c2","ifName":"unknown","ipv4":"10.0.0.11","allocationTimestamp":1700000001000000000}]}
            """;
        var record = CheckpointFormat.Read(Encoding.UTF8.GetBytes(file));
        Assert.Equal(
            [new AttachmentKey("aws-cni", "c1", "eth0"), new AttachmentKey("_migrated-from-cri", "c2", "unknown")],
            record.Attachments.Select(item => item.Key)
        );
        Assert.Equal(new PodReference("kube-system", "coredns"), record.Attachments[0].Pod);
        Assert.Equal(default, record.Attachments[1].Pod);
        Assert.Null(record.Attachments[0].Addresses[0].Slot);
        Assert.Equal(
            DateTimeOffset.FromUnixTimeMilliseconds(1700000000123).UtcDateTime,
            record.Attachments[0].AssignedAt.UtcDateTime,
            TimeSpan.FromMilliseconds(1)
        );
    }

    public static TheoryData<string, string> Unusable =>
        new()
        {
            { "", "not a checkpoint" },
            { "null", "null" },
            { """{"version":"vpc-cni-ipam/1","allocations":[{"contain""", "not a checkpoint" },
            { "\0\0\0\0\0\0\0\0", "not a checkpoint" },
            { """{"allocations":[]}""", "version ''" },
            { """{"version":"vpc-cni-ipam/2","allocations":[]}""", "version 'vpc-cni-ipam/2'" },
            {
                """{"version":"vpc-cni-ipam/1","allocations":[{"containerID":"a","ifName":"eth0"}]}""",
                "allocations[0] has neither ipv4 nor ipv6"
            },
            {
                """{"version":"vpc-cni-ipam/1","allocations":[{"ifName":"eth0","ipv4":"10.0.0.1"}]}""",
                "allocations[0].containerID is missing"
            },
            {
                """{"version":"vpc-cni-ipam/1","allocations":[{"containerID":"a","ifName":"eth0","ipv4":"ten"}]}""",
                "allocations[0].ipv4 is 'ten'"
            },
            {
                """{"version":"vpc-cni-ipam/1","allocations":[{"containerID":"a","ifName":"eth0","ipv4":"2001:db8::1"}]}""",
                "allocations[0].ipv4 is '2001:db8::1'"
            },
            {
                """{"version":"vpc-cni-ipam/1","allocations":[],"vpccni":{"cooling":[{"address":"x","releasedAt":1}]}}""",
                "vpccni.cooling[0].address"
            },
            { """["version"]""", "not a checkpoint" },
        };

    [Theory]
    [MemberData(nameof(Unusable))]
    public void Unusable_file_is_set_aside_with_the_reason(string content, string expected)
    {
        var exception = Assert.Throws<CheckpointFormatException>(() => CheckpointFormat.Read(Encoding.UTF8.GetBytes(content)));
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        var file = new FakeCheckpointFile { Content = Encoding.UTF8.GetBytes(content) };
        var ledger = new IpLedger(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
        CheckpointLoader.Load(ledger, file, new VpcCni.Tests.Shared.ManualTimeProvider(), bootId: null, NullLogger.Instance);
        Assert.Empty(ledger.Attachments());
        Assert.Equal(content, Encoding.UTF8.GetString(Assert.Single(file.Aside)));
    }

    [Fact]
    public void File_is_replaced_atomically_private_and_without_leftovers()
    {
        var folder = Directory.CreateTempSubdirectory("vpccni-checkpoint-");
        try
        {
            var path = Path.Combine(folder.FullName, "sub", "ipam.json");
            var file = new CheckpointFile(path);
            Assert.Null(file.Read());
            file.Write("first, and longer"u8);
            file.Write("second"u8);
            Assert.Equal("second", Encoding.UTF8.GetString(file.Read()!));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            Assert.Equal(["ipam.json"], Directory.GetFiles(Path.GetDirectoryName(path)!).Select(Path.GetFileName));
            var aside = file.SetAside(Start);
            Assert.Null(file.Read());
            Assert.Equal("second", File.ReadAllText(aside));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void File_that_cannot_be_written_keeps_its_content()
    {
        var folder = Directory.CreateTempSubdirectory("vpccni-checkpoint-");
        try
        {
            var path = Path.Combine(folder.FullName, "ipam.json");
            var file = new CheckpointFile(path);
            file.Write("old"u8);
            Directory.CreateDirectory(path + ".tmp");
            Assert.ThrowsAny<Exception>(() => file.Write("new"u8));
            Assert.Equal("old", File.ReadAllText(path));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static Attachment Attachment(string container, string address) =>
        new()
        {
            Key = new AttachmentKey("aws-cni", container, "eth0"),
            Pod = new PodReference("default", container),
            Interfaces = [new AttachmentInterface("eth0", [IPAddress.Parse(address)], null)],
            AssignedAt = Start,
        };
}
