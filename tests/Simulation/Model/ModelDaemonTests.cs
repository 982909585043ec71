// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Options;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Startup;
using VpcCni.Lab.VpcModel;
using Xunit;

namespace VpcCni.Simulation.Tests.Model;

/// <summary>The real pool engine on the model, in virtual time.</summary>
public sealed class ModelDaemonTests
{
    /// <summary>A type that the table of limits lacks, so that EC2 is called.</summary>
    private const string Unlisted = "m99.large";

    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private readonly VirtualTime _time = new(Start);
    private readonly VpcWorld _world;
    private readonly LaunchRequest _launch;
    private Instance _instance;
    private ModelKernel _kernel;
    private readonly ModelDisk _disk = new();

    public ModelDaemonTests()
    {
        var types = new Dictionary<string, InstanceType>(InstanceTypeCatalog.Common)
        {
            [Unlisted] = InstanceTypeCatalog.Common["m5.large"] with { Name = Unlisted },
        };
        _world = ModelWorld.Create(_time, new Random(1), new WorldOptions { InstanceTypes = types });
        _world.Timing.AttachLatency = TimeSpan.FromSeconds(1.5);
        _world.Timing.DetachLatency = TimeSpan.FromSeconds(5);
        var vpc = _world.CreateVpc(IPNetwork.Parse("10.0.0.0/16"));
        var subnet = _world.CreateSubnet(vpc.Id, "us-west-2a", IPNetwork.Parse("10.0.0.0/20"));
        var group = _world.CreateSecurityGroup(vpc.Id, "nodes");
        _launch = new LaunchRequest
        {
            InstanceType = "m5.large",
            Subnet = subnet.Id,
            Groups = [group.Id],
        };
        _instance = _world.LaunchInstance(_launch);
        _kernel = new ModelKernel(_world, _instance.Id);
    }

    [Fact]
    public void Daemon_serves_pods_and_keeps_their_addresses_after_a_kill()
    {
        var first = StartDaemon("first");
        var addresses = Enumerable.Range(0, 12).Select(pod => Add(first, pod)).ToArray();
        Assert.Equal(12, addresses.Distinct().Count());
        Assert.True(_world.InterfacesOf(_instance.Id).Count >= 2);
        first.Run.Kill();
        // Calls in flight still take effect.
        _time.Advance(TimeSpan.FromSeconds(1));
        var calls = _world.Calls.Total;
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(calls, _world.Calls.Total);

        var second = StartDaemon("second");
        Assert.Equal(addresses, Enumerable.Range(0, 12).Select(pod => Add(second, pod)));
        Assert.Empty(WorldInvariants.Check(_world));
    }

    [Fact]
    public void Defect_in_a_background_service_does_not_end_the_pool()
    {
        var daemon = StartDaemon(
            "broken",
            (operation, _) =>
            {
                if (operation == "metadata/groups")
                    throw new InvalidOperationException("a defect");
            }
        );
        Add(daemon, 0);
        Assert.True(_time.RunUntil(() => daemon.Engine.Background.Problem is not null, _time.GetUtcNow().AddMinutes(10)));
        Assert.Contains("watch of security groups failed because of a defect", daemon.Engine.Background.Problem, StringComparison.Ordinal);
        // More than are warm: only a working pool serves them.
        Assert.Equal(20, Enumerable.Range(0, 20).Select(pod => Add(daemon, pod)).Distinct().Count());
    }

    [Fact]
    public void Unknown_limits_are_requested_until_they_are_known()
    {
        _instance = _world.LaunchInstance(_launch with { InstanceType = Unlisted });
        _kernel = new ModelKernel(_world, _instance.Id);
        var first = StartDaemon("first");
        Add(first, 0);
        first.Run.Kill();
        _time.Advance(TimeSpan.FromSeconds(1));

        var asked = 0;
        var second = StartDaemon(
            "second",
            (operation, phase) =>
            {
                if (operation == "DescribeInstanceTypes" && phase == CallPhase.Leaving && ++asked <= 2)
                    throw new CloudException(CloudErrorKind.Throttled, operation, "RequestLimitExceeded", "made to fail");
            }
        );
        // More than are warm: only a pool with known limits grows.
        Add(second, 0);
        Assert.True(_time.RunUntil(() => asked == 3, _time.GetUtcNow().AddMinutes(10)));
        Assert.Equal(20, Enumerable.Range(0, 20).Select(pod => Add(second, pod)).Distinct().Count());
        Assert.False(_time.RunUntil(() => second.Engine.Background.Problem is not null || asked > 3, _time.GetUtcNow().AddMinutes(30)));
    }

    private (DaemonRun Run, PoolEngine Engine) StartDaemon(string name, Action<string, CallPhase>? onPhase = null)
    {
        var run = new DaemonRun(_time, name);
        PoolEngine? engine = null;
        run.Post(() =>
        {
            var cloud = new ModelCloud(_world, _instance.Id, run, new Random(2), new AwsCloudOptions())
            {
                Latency = CallLatency.Constant(TimeSpan.FromMilliseconds(300)),
                OnPhase = onPhase,
            };
            var time = new MonotonicTime(run);
            var ports = new PoolPorts(
                new AwsFactory(cloud, ManageUntagged: true),
                ModelHost.Open(_kernel, run, time, NullLoggerFactory.Instance),
                new ModelCheckpointFile(_disk, run),
                new ModelMissedDels(new ModelNotes(), run),
                time,
                new Random(3),
                NullLoggerFactory.Instance
            );
            engine = new PoolEngine(ports, new IpamdOptions(), new DaemonState("test", time));
            _ = engine.RunAsync(_ => { }, CancellationToken.None);
        });
        Assert.True(_time.RunUntil(() => engine is not null, _time.GetUtcNow().AddSeconds(1)));
        return (run, engine!);
    }

    private IPAddress Add((DaemonRun Run, PoolEngine Engine) daemon, int pod)
    {
        AddOutcome? outcome = null;
        _ = daemon.Run.Start(async () =>
            outcome = await daemon.Engine.Addresses.AddAsync(
                new AttachmentKey("aws-cni", $"c{pod}", "eth0"),
                new PodReference("default", $"p{pod}"),
                "",
                CancellationToken.None
            )
        );
        Assert.True(_time.RunUntil(() => outcome is not null, _time.GetUtcNow().AddSeconds(30)));
        return Assert.IsType<AddOutcome.Assigned>(outcome).Attachment.Addresses[0].Address;
    }
}
