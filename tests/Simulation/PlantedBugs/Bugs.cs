// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using System.Net;
using System.Reflection;
using System.Text.Json.Nodes;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.MissedDels;
using VpcCni.Ipamd.Startup;
using VpcCni.Netlink;

namespace VpcCni.Simulation.Tests.PlantedBugs;

/// <summary>
/// Bugs that the simulation must find, each added from outside: through an option, a port, or a change of the engine's state. Production
/// code has no support for them.
/// </summary>
internal static class Bugs
{
    public static IReadOnlyList<Mutation> All { get; } =
    [
        new("skips the cooldown") { Options = options => options with { Cooldown = TimeSpan.Zero } },
        new("assigns one address to two pods") { AfterStep = ForgetOwner },
        new("loses acknowledged writes of the checkpoint")
        {
            Ports = ports => ports with { Checkpoint = new LossyFile(ports.Checkpoint, ports.Random) },
        },
        new("loses the intent journal at a restart")
        {
            Focus = LeavesChangesOpen,
            Ports = ports => ports with { Checkpoint = new ForgetfulFile(ports.Checkpoint, "intents") },
        },
        new("loses recent releases at a restart")
        {
            Focus = ReleasesAtOnce,
            Ports = ports => ports with { Checkpoint = new ForgetfulFile(ports.Checkpoint, "givenBack", "gone") },
        },
        new("loses cooldowns at a restart") { Ports = ports => ports with { Checkpoint = new ForgetfulFile(ports.Checkpoint, "cooling") } },
        new("treats the metadata as authoritative")
        {
            Focus = scenario =>
                scenario with
                {
                    MetadataLag = TimeSpan.FromMinutes(2),
                    DuplicateAdds = 0.5,
                    MeanCrash = TimeSpan.FromSeconds(40),
                },
            Ports = ports => ports.WithEc2(ec2 => new MetadataCloud(ec2)),
        },
        new("uses a new client token for every attempt") { Ports = ports => ports.WithEc2(ec2 => new TokenCloud(ec2, ports.Random)) },
        new("releases an address in use") { Ports = ports => ports.WithEc2(ec2 => new GreedyCloud(ec2)) },
        new("never deletes detached interfaces") { Ports = ports => ports.WithEc2(ec2 => new HoardingCloud(ec2)) },
        new("never sets delete-on-termination") { Ports = ports => ports.WithEc2(ec2 => new NoDeleteOnTerminationCloud(ec2)) },
        new("does not check the kernel") { Ports = ports => ports with { Host = new BlindHost(ports.Host) } },
        new("loses a pending ADD") { AfterStep = LosePendingAdd },
        new("continues in the previously configured subnet")
        {
            Focus = CustomNetwork,
            AfterStep = (engine, _) =>
                engine.Ledger.Exclude(engine.Ledger.View(default).Interfaces.ToDictionary(item => item.Id, item => item.IsPrimary)),
        },
        new("uses the primary interface with custom networking")
        {
            Focus = CustomNetwork,
            Options = options => options with { CustomNetworking = false },
        },
        new("waits for EC2 before it serves pods")
        {
            Focus = CloudAway,
            Ports = ports => ports.WithEc2(ec2 => new SilentMetadataCloud(ec2)),
        },
        new("uses interfaces that only the checkpoint shows")
        {
            Focus = CloudAway,
            Ports = ports => ports.WithEc2(ec2 => new CheckpointCloud(ec2, ports.Checkpoint)),
        },
        new("applies a note older than the assignment")
        {
            Focus = Notes,
            Ports = ports => ports with { MissedDels = new CurrentTimeNotes(ports.MissedDels, ports.Time) },
        },
        new("removes notes without applying them")
        {
            Focus = Notes,
            Ports = ports => ports with { MissedDels = new DiscardedNotes(ports.MissedDels) },
        },
        new("reports security groups that it did not set")
        {
            Focus = CustomNetwork,
            Ports = ports => ports.WithEc2(ec2 => new GrouplessCloud(ec2)),
        },
        new("removes rules of other programs") { Focus = Host, Kernel = kernel => new HostBugs.UnselectiveKernel(kernel) },
        new("repairs a rule with the wrong table") { Focus = Host, Kernel = kernel => new HostBugs.WrongTableKernel(kernel) },
        new("forgets the default route of a table") { Focus = Host, Kernel = kernel => new HostBugs.NoDefaultRouteKernel(kernel) },
        new("leaves rules of released pods") { Focus = LostDeletes, Kernel = kernel => new HostBugs.NoRemovalKernel(kernel) },
        new("repairs what is right") { Focus = Host, Kernel = kernel => new HostBugs.HiddenRouteKernel(kernel) },
        new("removes routes of live pods") { Focus = Host, Kernel = kernel => new HostBugs.HastyKernel(kernel) },
        new("gives dual-stack pods an IPv4 address only")
        {
            Focus = DualStack,
            Options = options => options with { Families = PodFamilies.Ipv4 },
        },
        new("ignores a change of the mode")
        {
            Focus = scenario =>
                DualStack(scenario) with
                {
                    Families = DualStack(scenario).Families! with { MeanSwitch = TimeSpan.FromSeconds(40) },
                },
            Options = options => options with { Families = PodFamilies.Dual },
        },
        new("waits for EC2 before it serves dual-stack pods")
        {
            Focus = scenario => DualStack(CloudAway(scenario)),
            Ports = ports => ports.WithEc2(ec2 => new SilentMetadataCloud(ec2)),
        },
        new("loses the IPv6 address of a dual-stack pod") { Focus = DualStack, AfterStep = LoseIpv6 },
        new("loses IPv6 addresses at a restart")
        {
            Focus = scenario => DualStack(Restarts(scenario)),
            Ports = ports => ports with { Checkpoint = new Ipv4File(ports.Checkpoint) },
        },
        new("releases one family of a dual-stack pod") { Focus = DualStack, AfterStep = KeepIpv6 },
        new("releases an IPv6 prefix in use")
        {
            Focus = scenario => DualStack(scenario) with { UsesPrefixes = true },
            Ports = ports => ports.WithEc2(ec2 => new GreedyIpv6Cloud(ec2)),
        },
        new("gives pods the node's own IPv6 address")
        {
            Focus = scenario => DualStack(scenario) with { UsesPrefixes = false },
            Ports = ports => ports.WithEc2(ec2 => new NodeAddressCloud(ec2)),
        },
        new("does not add IPv6 addresses to existing interfaces")
        {
            Focus = scenario => DualStack(scenario) with { UsesPrefixes = false },
            Ports = ports => ports.WithEc2(ec2 => new NoIpv6Cloud(ec2)),
        },
        new("takes the two addresses of a pod from different interfaces")
        {
            Focus = scenario => DualStack(scenario) with { UsesPrefixes = false, WarmEni = 2, WarmIp = 0, MinimumIp = 0 },
            Ports = ports => ports.WithEc2(ec2 => new MixedUpCloud(ec2)),
        },
        new("forgets the IPv6 default route of a table")
        {
            Focus = scenario => DualStack(Host(scenario)),
            Kernel = kernel => new HostBugs.NoIpv6DefaultRouteKernel(kernel),
        },
        new("does not repair rules of IPv6 pods")
        {
            Focus = scenario => DualStack(Host(scenario)),
            Kernel = kernel => new HostBugs.NoIpv6RulesKernel(kernel),
        },
        new("removes routes of IPv6 pods")
        {
            Focus = scenario => DualStack(Host(scenario)),
            Kernel = kernel => new HostBugs.HastyKernel(kernel, IpFamily.V6),
        },
        new("forwards IPv6 and loses the node's default route")
        {
            Focus = DualStack,
            Kernel = kernel => new HostBugs.NoAdvertisementsKernel(kernel),
        },
    ];

    /// <summary>A dual-stack node in a VPC whose IPv6 has no faults.</summary>
    private static Scenario DualStack(Scenario scenario) =>
        scenario with
        {
            Families = new FamilyPlan(
                PodMode.Dual,
                [.. scenario.Subnets.Select(_ => true)],
                AssignsOnCreation: false,
                MeanSwitch: null,
                MeanExhaustion: null,
                MeanInterference: null,
                DamagesHost: true
            ),
        };

    /// <summary>Other programs that change rules and routes, without other faults of the host.</summary>
    private static Scenario Host(Scenario scenario) =>
        scenario with
        {
            WarmEni = 2,
            WarmIp = 0,
            MinimumIp = 0,
            Host = new HostPlan(
                TimeSpan.FromSeconds(5),
                TimeSpan.FromSeconds(3),
                MeanFlap: null,
                MeanDispute: null,
                LateLinks: TimeSpan.Zero,
                OperationFails: 0,
                CrashAtOperation: 0,
                ReportsFail: 0
            ),
        };

    private static Scenario LostDeletes(Scenario scenario) =>
        scenario with
        {
            LostDeletes = 0.5,
            MeanLifetime = TimeSpan.FromSeconds(20),
            MeanArrival = TimeSpan.FromSeconds(2),
        };

    /// <summary>Restarts, lost answers, and many short-lived pods.</summary>
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

    /// <summary>Restarts during one change in ten, and no interference that might repair the damage.</summary>
    private static Scenario LeavesChangesOpen(Scenario scenario) =>
        Restarts(scenario) with
        {
            CrashAtCall = 0.1,
            FailsAfter = 0.15,
            MeanInterference = null,
            Trouble = TimeSpan.FromMinutes(12),
        };

    /// <summary>
    /// Late descriptions, and an operator who changes the mode and with it the surplus: that is released at once, while a surplus of
    /// changing load is kept for minutes.
    /// </summary>
    private static Scenario ReleasesAtOnce(Scenario scenario) =>
        Restarts(scenario) with
        {
            DescribeLag = TimeSpan.FromSeconds(20),
            UsesPrefixes = false,
            WarmIp = 1,
            MinimumIp = 0,
            MeanOperator = TimeSpan.FromSeconds(30),
        };

    /// <summary>Restarts while EC2 is away, of a node with free addresses and a current metadata service.</summary>
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

    /// <summary>A node with custom networking whose ENIConfig changes.</summary>
    private static Scenario CustomNetwork(Scenario scenario)
    {
        for (var seed = CustomNetworkPlan.FirstSeed + (scenario.Seed * 100); ; seed++)
        {
            if (Scenario.From(seed) is { CustomNetwork.MeanChange: not null } custom)
                return custom;
        }
    }

    /// <summary>DELs while the daemon is away, of sandboxes that are added again.</summary>
    private static Scenario Notes(Scenario scenario) =>
        scenario with
        {
            MeanCrash = TimeSpan.FromSeconds(20),
            MeanLifetime = TimeSpan.FromSeconds(20),
            MeanArrival = TimeSpan.FromSeconds(2),
            DiskFails = 0,
            Notes = new NotePlan(Late: 0.5, AddsAgain: 0.7, Fails: 0, Unannounced: 0.5, Strange: 0.1, CrashAtRemoval: 0.05),
        };

    private static void ForgetOwner(PoolEngine engine, Random random)
    {
        var owners = Field<IDictionary>(engine.Ledger, "_owners");
        if (owners.Count == 0 || random.Next(50) > 0)
            return;
        owners.Remove(owners.Keys.Cast<object>().ElementAt(random.Next(owners.Count)));
    }

    private static void LosePendingAdd(PoolEngine engine, Random random)
    {
        if (engine.Waiting.Demand == 0 || random.Next(10) > 0)
            return;
        var queue = Field<object>(engine.Waiting, "_queue");
        queue.GetType().GetMethod("RemoveFirst")!.Invoke(queue, null);
    }

    /// <summary>Takes the second address off an attachment.</summary>
    private static void LoseIpv6(PoolEngine engine, Random random)
    {
        if (random.Next(50) > 0 || DualStackOf(engine) is not [var attachment, ..])
            return;
        var only = attachment.Interfaces[0] with { Addresses = [attachment.Interfaces[0].Addresses[0]] };
        Field<IDictionary>(engine.Ledger, "_attachments")[attachment.Key] = attachment with { Interfaces = [only] };
    }

    /// <summary>Reserves the IPv6 addresses of attachments that are gone again.</summary>
    private static void KeepIpv6(PoolEngine engine, Random random)
    {
        var held = Field<IDictionary>(engine.Ledger, "_owners");
        foreach (var address in Field<IDictionary>(engine.Ledger, "_lastReleases").Keys.Cast<IPAddress>().Where(IsIpv6).ToArray())
        {
            if (!held.Contains(address))
                Invoke(engine.Ledger, "Reserve_NeedsLock", address, new AttachmentKey("planted", $"{address}", "eth0"));
        }
    }

    private static Attachment[] DualStackOf(PoolEngine engine) =>
        [.. engine.Ledger.Attachments().Where(attachment => attachment.Addresses.Count > 1)];

    private static bool IsIpv6(IPAddress address) => address.AddressFamily == IpFamily.V6;

    private static void Invoke(object owner, string method, params object[] arguments) =>
        owner.GetType().GetMethod(method, BindingFlags.Instance | BindingFlags.NonPublic)!.Invoke(owner, arguments);

    private static T Field<T>(object owner, string name) =>
        (T)owner.GetType().GetField(name, BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(owner)!;

    /// <summary>Reports every write as done, and omits one in ten.</summary>
    private sealed class LossyFile(ICheckpointFile inner, Random random) : ICheckpointFile
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

    /// <summary>Reads the checkpoint without some of its extension members.</summary>
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

    /// <summary>Reads the checkpoint without the IPv6 addresses of pods that have two.</summary>
    private sealed class Ipv4File(ICheckpointFile inner) : ICheckpointFile
    {
        public string Name => inner.Name;

        public byte[]? Read()
        {
            if (inner.Read() is not { } content)
                return null;
            var document = JsonNode.Parse(content)!;
            foreach (var item in (document["allocations"] as JsonArray) ?? [])
            {
                if (item is not JsonObject allocation || allocation["ipv4"] is null || !allocation.Remove("ipv6"))
                    continue;
                if (allocation["vpccni"]?["places"] is JsonArray { Count: > 1 } slots)
                    slots.RemoveAt(1);
            }

            return System.Text.Encoding.UTF8.GetBytes(document.ToJsonString());
        }

        public void Write(ReadOnlySpan<byte> content) => inner.Write(content);

        public string SetAside(DateTimeOffset now) => inner.SetAside(now);
    }

    /// <summary>Gives every note the current time.</summary>
    private sealed class CurrentTimeNotes(IMissedDels inner, TimeProvider time) : DelegatingNotes(inner)
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

    /// <summary>Removes all notes at once.</summary>
    private sealed class DiscardedNotes(IMissedDels inner) : DelegatingNotes(inner)
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
        public void Watch(Action arrived) => inner.Watch(arrived);

        public virtual MissedDelReading Read() => inner.Read();

        public virtual void Remove(MissedDelEntry entry) => inner.Remove(entry);
    }

    /// <summary>Hides interfaces that the metadata does not show.</summary>
    private sealed class MetadataCloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override async Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken)
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
    private sealed class SilentMetadataCloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<Ec2Interface>>([]);
    }

    /// <summary>Confirms the checkpoint's blocks of every attached interface.</summary>
    private sealed class CheckpointCloud(IEc2 inner, ICheckpointFile file) : DelegatingCloud(inner)
    {
        public override async Task<IReadOnlyList<Ec2Interface>> ReadMetadataInterfacesAsync(CancellationToken cancellationToken)
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

    private sealed class TokenCloud(IEc2 inner, Random random) : DelegatingCloud(inner)
    {
        public override Task<Ec2Interface> CreateInterfaceAsync(CreateInterfaceRequest request, CancellationToken cancellationToken) =>
            base.CreateInterfaceAsync(request with { IdempotencyToken = $"new-{random.NextInt64():x}" }, cancellationToken);
    }

    /// <summary>Releases one more block of the same interface with every release.</summary>
    private sealed class GreedyCloud(IEc2 inner) : DelegatingCloud(inner)
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

    /// <summary>Releases the IPv6 prefix of an interface after it has been given IPv4 addresses.</summary>
    private sealed class GreedyIpv6Cloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override async Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
            NetworkInterfaceId id,
            BlockRequest request,
            CancellationToken cancellationToken
        )
        {
            var assigned = await base.AssignBlocksAsync(id, request, cancellationToken);
            var attached = await base.DescribeAttachedInterfacesAsync(cancellationToken);
            IPNetwork[] prefixes =
            [
                .. attached.SelectMany(item => item.Id == id ? item.Blocks : []).Where(block => block.PrefixLength == 80),
            ];
            if (!IsIpv6(assigned[0].BaseAddress) && prefixes.Length > 0)
                await base.UnassignBlocksAsync(id, prefixes, cancellationToken);
            return assigned;
        }
    }

    /// <summary>Takes the node's own IPv6 address for one of the primary interface's blocks.</summary>
    private sealed class NodeAddressCloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override async Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken)
        {
            var node = (await Inner.IdentifyNodeAsync(cancellationToken)).Ipv6Address!;
            return
            [
                .. (await base.DescribeAttachedInterfacesAsync(cancellationToken)).Select(item =>
                    item.IsPrimary ? item with { Blocks = [.. item.Blocks, new IPNetwork(node, 128)] } : item
                ),
            ];
        }
    }

    /// <summary>Reports IPv6 addresses that were requested for an existing interface as none.</summary>
    private sealed class NoIpv6Cloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override Task<IReadOnlyList<IPNetwork>> AssignBlocksAsync(
            NetworkInterfaceId id,
            BlockRequest request,
            CancellationToken cancellationToken
        ) =>
            request.Shape.Family == IpFamily.V6
                ? Task.FromResult<IReadOnlyList<IPNetwork>>([])
                : base.AssignBlocksAsync(id, request, cancellationToken);
    }

    /// <summary>Describes the IPv6 addresses of each interface as those of the next one.</summary>
    private sealed class MixedUpCloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override async Task<IReadOnlyList<Ec2Interface>> DescribeAttachedInterfacesAsync(CancellationToken cancellationToken)
        {
            var all = await base.DescribeAttachedInterfacesAsync(cancellationToken);
            return
            [
                .. all.Select(
                    (item, index) =>
                        item with
                        {
                            Blocks =
                            [
                                .. item.Blocks.Where(block => !IsIpv6(block.BaseAddress)),
                                .. all[(index + 1) % all.Count].Blocks.Where(block => IsIpv6(block.BaseAddress)),
                            ],
                        }
                ),
            ];
        }
    }

    private sealed class HoardingCloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override Task DeleteInterfaceAsync(NetworkInterfaceId id, CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private sealed class GrouplessCloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override Task SetSecurityGroupsAsync(
            NetworkInterfaceId id,
            IReadOnlyList<string> securityGroupIds,
            CancellationToken cancellationToken
        ) => Task.CompletedTask;
    }

    private sealed class NoDeleteOnTerminationCloud(IEc2 inner) : DelegatingCloud(inner)
    {
        public override Task SetDeleteOnTerminationAsync(NetworkInterfaceId id, string attachmentId, CancellationToken cancellationToken) =>
            Task.CompletedTask;
    }

    /// <summary>Shows no route, no veth and no namespace, as to a daemon in the wrong namespace.</summary>
    private sealed class BlindHost(IHostNetwork inner) : IHostNetwork
    {
        public Task EnsureInterfaceAsync(InterfaceWiring wiring, TimeSpan linkDeadline, CancellationToken cancellationToken) =>
            inner.EnsureInterfaceAsync(wiring, linkDeadline, cancellationToken);

        public void RemoveInterface(Slot slot, IPAddress primaryAddress) => inner.RemoveInterface(slot, primaryAddress);

        public IReadOnlyList<PodRoute> PodRoutes() => [];

        public IReadOnlyList<LinkAddress> HostAddresses() => [];

        public IReadOnlyCollection<string> HostInterfaces() => [];

        public NamespacePresence NamespaceAt(string path) => NamespacePresence.Gone;

        public void WatchLinks(Action<string?> seen, Action<string> lost) => inner.WatchLinks(seen, lost);
    }
}
