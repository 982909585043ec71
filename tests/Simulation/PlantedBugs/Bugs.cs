// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using System.Net;
using System.Reflection;
using System.Text.Json.Nodes;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.MissedDels;
using VpcCni.Ipamd.Startup;

namespace VpcCni.Simulation.Tests.PlantedBugs;

/// <summary>
/// Bugs that the simulation must find, each put in from outside: through an option, a port, or a hand in the engine's state. The production
/// code knows nothing of them.
/// </summary>
internal static class Bugs
{
    public static IReadOnlyList<Mutation> All { get; } =
    [
        new("skips the cooldown") { Options = options => options with { Cooldown = TimeSpan.Zero } },
        new("gives one address to two pods") { AfterStep = ForgetHolder },
        new("loses acknowledged writes of the checkpoint")
        {
            Ports = ports => ports with { Checkpoint = new LyingFile(ports.Checkpoint, ports.Random) },
        },
        new("forgets the journal at a restart")
        {
            Focus = LeavesChangesOpen,
            Ports = ports => ports with { Checkpoint = new ForgetfulFile(ports.Checkpoint, "intents") },
        },
        new("forgets at a restart what it gave back")
        {
            Focus = GivesBack,
            Ports = ports => ports with { Checkpoint = new ForgetfulFile(ports.Checkpoint, "givenBack", "gone") },
        },
        new("forgets at a restart what cools")
        {
            Ports = ports => ports with { Checkpoint = new ForgetfulFile(ports.Checkpoint, "cooling") },
        },
        new("takes the metadata for the truth")
        {
            Focus = scenario =>
                scenario with
                {
                    MetadataLag = TimeSpan.FromSeconds(60),
                    DuplicateAdds = 0.5,
                    MeanCrash = TimeSpan.FromSeconds(60),
                },
            Ports = ports => ports with { Cloud = new MetadataCloud(ports.Cloud) },
        },
        new("makes a new client token for every try") { Ports = ports => ports with { Cloud = new TokenCloud(ports.Cloud, ports.Random) } },
        new("gives back an address in use") { Ports = ports => ports with { Cloud = new GreedyCloud(ports.Cloud) } },
        new("never deletes what it detached") { Ports = ports => ports with { Cloud = new HoardingCloud(ports.Cloud) } },
        new("never ties interfaces to the node's life") { Ports = ports => ports with { Cloud = new UntyingCloud(ports.Cloud) } },
        new("does not look at the kernel") { Ports = ports => ports with { Host = new BlindHost(ports.Host) } },
        new("loses a waiting ADD") { AfterStep = LoseWaiter },
        new("goes on in the subnet that was configured before")
        {
            Focus = CustomNetwork,
            AfterStep = (engine, _) =>
                engine.Ledger.Exclude(engine.Ledger.View(default).Interfaces.ToDictionary(item => item.Id, item => item.IsPrimary)),
        },
        new("takes the primary interface for pods although they have a network of their own")
        {
            Focus = CustomNetwork,
            Options = options => options with { CustomNetworking = false },
        },
        new("waits for EC2 before it serves")
        {
            Focus = CloudAway,
            Ports = ports => ports with { Cloud = new SilentMetadataCloud(ports.Cloud) },
        },
        new("presumes what the checkpoint alone shows")
        {
            Focus = CloudAway,
            Ports = ports => ports with { Cloud = new CheckpointCloud(ports.Cloud, ports.Checkpoint) },
        },
        new("takes a note older than the assignment")
        {
            Focus = Notes,
            Ports = ports => ports with { MissedDels = new AgelessNotes(ports.MissedDels, ports.Time) },
        },
        new("removes notes without taking them")
        {
            Focus = Notes,
            Ports = ports => ports with { MissedDels = new UnheardNotes(ports.MissedDels) },
        },
        new("says that it changed security groups")
        {
            Focus = CustomNetwork,
            Ports = ports => ports with { Cloud = new GrouplessCloud(ports.Cloud) },
        },
    ];

    /// <summary>Restarts, calls whose answers are lost, and much coming and going.</summary>
    private static Scenario Restarts(Scenario scenario) =>
        scenario with
        {
            MeanCrash = TimeSpan.FromSeconds(20),
            CrashAtCall = 0.03,
            FailsAfter = 0.05,
            Cooldown = TimeSpan.FromSeconds(1),
            MeanLifetime = TimeSpan.FromSeconds(20),
            MeanArrival = TimeSpan.FromSeconds(2),
        };

    /// <summary>Restarts in the middle of one change of ten, and nobody who tidies up by chance.</summary>
    private static Scenario LeavesChangesOpen(Scenario scenario) =>
        Restarts(scenario) with
        {
            CrashAtCall = 0.1,
            FailsAfter = 0.15,
            MeanInterference = null,
            Trouble = TimeSpan.FromMinutes(12),
        };

    /// <summary>
    /// Descriptions that are late, and an operator who changes the mode and with it what is surplus: that is given back at once, where a
    /// surplus of changing load is kept for minutes.
    /// </summary>
    private static Scenario GivesBack(Scenario scenario) =>
        Restarts(scenario) with
        {
            DescribeLag = TimeSpan.FromSeconds(20),
            UsesPrefixes = false,
            WarmIp = 1,
            MinimumIp = 0,
            MeanOperator = TimeSpan.FromSeconds(30),
        };

    /// <summary>Restarts while EC2 is away, of a node with free addresses and a metadata service that is up to date.</summary>
    private static Scenario CloudAway(Scenario scenario) =>
        scenario with
        {
            MeanAway = TimeSpan.FromSeconds(45),
            MetadataLag = TimeSpan.Zero,
            Trouble = TimeSpan.FromMinutes(12),
            DiskFails = 0,
            KernelFails = 0,
            Cooldown = TimeSpan.FromSeconds(5),
            MeanArrival = TimeSpan.FromSeconds(3),
            MeanLifetime = TimeSpan.FromSeconds(30),
            MeanInterference = null,
        };

    /// <summary>A node whose pods have a network of their own, which somebody changes now and then.</summary>
    private static Scenario CustomNetwork(Scenario scenario)
    {
        for (var seed = CustomNetworkPlan.FirstSeed + (scenario.Seed * 100); ; seed++)
        {
            if (Scenario.From(seed) is { CustomNetwork.MeanChange: not null } custom)
                return custom;
        }
    }

    /// <summary>DELs while the daemon is away, of sandboxes that come back.</summary>
    private static Scenario Notes(Scenario scenario) =>
        scenario with
        {
            MeanCrash = TimeSpan.FromSeconds(20),
            MeanLifetime = TimeSpan.FromSeconds(20),
            MeanArrival = TimeSpan.FromSeconds(2),
            DiskFails = 0,
            Notes = new NotePlan(Late: 0.5, AddsAgain: 0.7, Fails: 0, Unannounced: 0.5, Strange: 0.1, CrashAtRemoval: 0.05),
        };

    private static void ForgetHolder(PoolEngine engine, Random random)
    {
        var holders = Field<IDictionary>(engine.Ledger, "_holders");
        if (holders.Count == 0 || random.Next(50) > 0)
            return;
        holders.Remove(holders.Keys.Cast<object>().ElementAt(random.Next(holders.Count)));
    }

    private static void LoseWaiter(PoolEngine engine, Random random)
    {
        if (engine.Waiting.Demand == 0 || random.Next(10) > 0)
            return;
        var queue = Field<object>(engine.Waiting, "_queue");
        queue.GetType().GetMethod("RemoveFirst")!.Invoke(queue, null);
    }

    private static T Field<T>(object owner, string name) =>
        (T)owner.GetType().GetField(name, BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(owner)!;

    /// <summary>Says that it wrote, and in one case of ten did not.</summary>
    private sealed class LyingFile(ICheckpointFile inner, Random random) : ICheckpointFile
    {
        public string Name => inner.Name;

        public byte[]? Read() => inner.Read();

        public void Write(ReadOnlySpan<byte> content)
        {
            if (random.Next(10) > 0)
                inner.Write(content);
        }

        public string SetAside(DateTimeOffset now) => inner.SetAside(now);
    }

    /// <summary>Reads the checkpoint without some of our additions.</summary>
    private sealed class ForgetfulFile(ICheckpointFile inner, params string[] members) : ICheckpointFile
    {
        public string Name => inner.Name;

        public byte[]? Read()
        {
            if (inner.Read() is not { } content)
                return null;
            var document = JsonNode.Parse(content)!;
            foreach (var member in members)
                (document["vpccni"] as JsonObject)?.Remove(member);
            return System.Text.Encoding.UTF8.GetBytes(document.ToJsonString());
        }

        public void Write(ReadOnlySpan<byte> content) => inner.Write(content);

        public string SetAside(DateTimeOffset now) => inner.SetAside(now);
    }

    /// <summary>Each note is of now.</summary>
    private sealed class AgelessNotes(IMissedDels inner, TimeProvider time) : DelegatingNotes(inner)
    {
        private readonly Dictionary<string, MissedDelEntry> _read = new(StringComparer.Ordinal);

        public override MissedDelReading Read()
        {
            var reading = base.Read();
            foreach (var entry in reading.Entries)
                _read[entry.Name] = entry;
            return reading with
            {
                Entries =
                [
                    .. reading.Entries.Select(entry =>
                        entry with
                        {
                            Del = entry.Del is { } note ? note with { SinceBoot = time.GetElapsedTime(0) } : null,
                        }
                    ),
                ],
            };
        }

        public override void Remove(MissedDelEntry entry) => base.Remove(_read[entry.Name]);
    }

    /// <summary>Removes at once what is there.</summary>
    private sealed class UnheardNotes(IMissedDels inner) : DelegatingNotes(inner)
    {
        public override MissedDelReading Read()
        {
            foreach (var entry in base.Read().Entries)
                Remove(entry);
            return new MissedDelReading([], 0, null);
        }
    }

    private abstract class DelegatingNotes(IMissedDels inner) : IMissedDels
    {
        public Action Arrived
        {
            get => inner.Arrived;
            set => inner.Arrived = value;
        }

        public virtual MissedDelReading Read() => inner.Read();

        public virtual void Remove(MissedDelEntry entry) => inner.Remove(entry);
    }

    /// <summary>Interfaces that the metadata does not show do not exist.</summary>
    private sealed class MetadataCloud(ICloud inner) : DelegatingCloud(inner)
    {
        public override async Task<IReadOnlyList<CloudInterface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken)
        {
            var shown = (await Inner.HintAttachedInterfacesAsync(cancellationToken)).ToDictionary(hint => hint.Id, hint => hint.Blocks);
            return
            [
                .. (await base.DescribeAttachedInterfacesAsync(cancellationToken))
                    .Where(item => shown.ContainsKey(item.Id))
                    .Select(item => item with { Blocks = shown[item.Id] }),
            ];
        }
    }

    /// <summary>Confirms nothing.</summary>
    private sealed class SilentMetadataCloud(ICloud inner) : DelegatingCloud(inner)
    {
        public override Task<IReadOnlyList<CloudInterface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<CloudInterface>>([]);
    }

    /// <summary>Confirms whatever the checkpoint says of an interface that is there.</summary>
    private sealed class CheckpointCloud(ICloud inner, ICheckpointFile file) : DelegatingCloud(inner)
    {
        public override async Task<IReadOnlyList<CloudInterface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken)
        {
            var document = file.Read() is { } content ? JsonNode.Parse(content) : null;
            var recorded =
                (document?["vpccni"]?["interfaces"] as JsonArray)?.ToDictionary(
                    item => item!["id"]!.GetValue<string>(),
                    item => (item!["blocks"] as JsonArray)?.Select(block => IPNetwork.Parse(block!.GetValue<string>())).ToArray() ?? [],
                    StringComparer.Ordinal
                )
                ?? [];
            return
            [
                .. (await base.ReadMetadataInterfacesAsync(cancellationToken)).Select(item =>
                    recorded.TryGetValue(item.Id.Value, out var blocks) ? item with { Blocks = blocks } : item
                ),
            ];
        }
    }

    private sealed class TokenCloud(ICloud inner, Random random) : DelegatingCloud(inner)
    {
        public override Task<CloudInterface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken) =>
            base.CreateInterfaceAsync(request with { IdempotencyToken = $"new-{random.NextInt64():x}" }, cancellationToken);
    }

    /// <summary>With every block that is given back goes one more of the same interface.</summary>
    private sealed class GreedyCloud(ICloud inner) : DelegatingCloud(inner)
    {
        private readonly Dictionary<NetworkInterfaceId, List<IPNetwork>> _assigned = [];

        public override async Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
            NetworkInterfaceId id,
            BlockRequest request,
            CancellationToken cancellationToken
        )
        {
            var assigned = await base.AssignBlocksAsync(id, request, cancellationToken);
            if (!_assigned.TryGetValue(id, out var list))
                _assigned[id] = list = [];
            list.AddRange(assigned);
            return assigned;
        }

        public override Task UnassignBlocksAsync(
            NetworkInterfaceId id,
            IReadOnlyList<IPNetwork> blocks,
            CancellationToken cancellationToken
        )
        {
            var more = _assigned.GetValueOrDefault(id)?.Except(blocks).Take(1) ?? [];
            return base.UnassignBlocksAsync(id, [.. blocks, .. more], cancellationToken);
        }
    }

    private sealed class HoardingCloud(ICloud inner) : DelegatingCloud(inner)
    {
        public override Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private sealed class GrouplessCloud(ICloud inner) : DelegatingCloud(inner)
    {
        public override Task SetSecurityGroupsAsync(
            NetworkInterfaceId id,
            IReadOnlyList<string> securityGroupIds,
            CancellationToken cancellationToken
        ) => Task.CompletedTask;
    }

    private sealed class UntyingCloud(ICloud inner) : DelegatingCloud(inner)
    {
        public override Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
            Task.CompletedTask;
    }

    /// <summary>No route, no veth and no namespace, as for a daemon in the wrong namespace.</summary>
    private sealed class BlindHost(IHostNetwork inner) : IHostNetwork
    {
        public Task EnsureInterfaceAsync(InterfaceWiring wiring, TimeSpan linkDeadline, CancellationToken cancellationToken) =>
            inner.EnsureInterfaceAsync(wiring, linkDeadline, cancellationToken);

        public void RemoveInterface(int deviceIndex, int networkCard, IPAddress primaryAddress) =>
            inner.RemoveInterface(deviceIndex, networkCard, primaryAddress);

        public IReadOnlyList<PodRoute> PodRoutes() => [];

        public IReadOnlyList<LinkAddress> HostAddresses() => [];

        public IReadOnlyCollection<string> HostInterfaces() => [];

        public NamespacePresence NamespaceAt(string path) => NamespacePresence.Gone;

        public Action<string> LinkLost
        {
            get => inner.LinkLost;
            set => inner.LinkLost = value;
        }

        public Action<string?> LinkSeen
        {
            get => inner.LinkSeen;
            set => inner.LinkSeen = value;
        }
    }
}
