// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Observation;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

public sealed class RecoveredPodsTests : IAsyncDisposable
{
    private static readonly PodReference Web = new("default", "web");

    private readonly ManualTimeProvider _time = new();
    private readonly IpLedger _ledger = new(TimeSpan.FromSeconds(30), PodFamilies.Ipv4, prefersPrefixes: false);
    private readonly FakePods _pods = new();
    private readonly List<Attachment> _identified = [];
    private readonly List<ClusterErrorKind?> _failed = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly RecoveredPods _recovered;
    private Task _running = Task.CompletedTask;

    public RecoveredPodsTests() =>
        _recovered = new RecoveredPods(
            _pods,
            "node-1",
            _ledger,
            _identified.Add,
            failure => _failed.Add(failure?.Kind),
            _time,
            new Random(1)
        );

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _running.WaitAsync(TimeSpan.FromSeconds(10)));
        _stop.Dispose();
    }

    [Theory]
    [InlineData("eni")]
    [InlineData("cali")]
    public async Task Attachment_is_identified_by_its_link_name(string prefix)
    {
        _pods.Answers.Enqueue([new PodReference("default", "other"), Web]);
        Recover(prefix + KernelUsage.LinkSuffix(Web), "10.0.0.5");
        Start();
        await Eventually.TrueAsync(() => _identified.Count == 1);
        Assert.Equal(Web, Assert.Single(_ledger.Attachments()).Pod);
        Assert.Equal([null], _failed);
    }

    [Fact]
    public async Task Pods_are_listed_only_when_needed_and_again_after_a_failure()
    {
        Start();
        Assert.Equal(0, _pods.Calls);
        _pods.Failures.Enqueue(new ClusterException(ClusterErrorKind.Unreachable, "list pods", "refused", null));
        _pods.Answers.Enqueue([Web]);
        Recover("eni" + KernelUsage.LinkSuffix(Web), "10.0.0.5");
        await Eventually.TrueAsync(() => _failed.Count == 1 && _time.PendingTimers > 0);
        _time.Advance(ClusterBackoff.Pauses.First);
        await Eventually.TrueAsync(() => _identified.Count == 1);
        Assert.Equal([ClusterErrorKind.Unreachable, null], _failed);
    }

    [Fact]
    public async Task Unknown_pod_is_looked_up_a_bounded_number_of_times()
    {
        Start();
        Recover("eni0123456789a", "10.0.0.5");
        for (var round = 1; round <= RecoveredPods.MaxAttempts; round++)
        {
            await Eventually.TrueAsync(() => _pods.Calls == round && _time.PendingTimers > 0);
            _time.Advance(RecoveredPods.Pause);
        }

        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(RecoveredPods.MaxAttempts, _pods.Calls);
        Assert.Empty(_identified);
    }

    private void Start() => _running = _recovered.RunAsync(_stop.Token);

    private void Recover(string link, string address)
    {
        var recovered = _ledger.Recover([(link, IPAddress.Parse(address))], TimeSpan.Zero, _time.GetUtcNow());
        _recovered.Record(new PoolEvent.Recovered(_time.GetUtcNow(), recovered[0]));
    }

    private sealed class FakePods : IPodSource
    {
        public Queue<IReadOnlyList<PodReference>> Answers { get; } = new();
        public Queue<ClusterException> Failures { get; } = new();
        public int Calls { get; private set; }

        public Task<IReadOnlyList<PodReference>> ListAsync(string nodeName, CancellationToken cancellationToken)
        {
            Calls++;
            if (Failures.TryDequeue(out var failure))
                return Task.FromException<IReadOnlyList<PodReference>>(failure);
            return Task.FromResult(Answers.TryDequeue(out var answer) ? answer : []);
        }
    }
}
