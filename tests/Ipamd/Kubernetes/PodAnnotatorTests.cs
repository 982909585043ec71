// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

public sealed class PodAnnotatorTests : IAsyncDisposable
{
    private static readonly PodReference Web = new("default", "web"),
        Db = new("default", "db");
    private readonly ManualTimeProvider _time = new();
    private readonly FakeClusterWriter _cluster = new();
    private readonly Dictionary<PodReference, string> _addresses = [];
    private readonly Dictionary<PodReference, Attachment> _served = [];
    private readonly List<string?> _failed = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly PodAnnotator _annotator;
    private Task? _running;

    public PodAnnotatorTests()
    {
        _annotator = new PodAnnotator(_cluster, NewestOf, "node-1", failure => _failed.Add(failure?.Kind.ToString()), _time, new Random(1));
        _cluster.Pods[Web] = new PodFacts("uid-web", "node-1");
        _cluster.Pods[Db] = new PodFacts("uid-db", "node-1");
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _running!.WaitAsync(TimeSpan.FromSeconds(10)));
        _stop.Dispose();
    }

    [Fact]
    public async Task Address_is_written_after_the_ADD_and_emptied_after_the_DEL()
    {
        Start();
        Add(Web, "10.0.0.5");
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.5");
        Delete(Web);
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.5", "default/web vpc.amazonaws.com/pod-ips=");
    }

    [Fact]
    public async Task DEL_of_an_old_sandbox_does_not_empty_the_address_of_the_new_one()
    {
        Start();
        Add(Web, "10.0.0.5");
        await Eventually.TrueAsync(() => _cluster.Annotated.Count == 1);
        _addresses[Web] = "10.0.0.6";
        _annotator.Record(new PoolEvent.Deleted(_time.GetUtcNow(), Key, Held(Web, "10.0.0.5"), TimeSpan.Zero));
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.5", "default/web vpc.amazonaws.com/pod-ips=10.0.0.6");
    }

    [Fact]
    public async Task Pod_on_another_node_or_deleted_is_not_annotated()
    {
        Start();
        _cluster.Pods[Web] = new PodFacts("new", "node-2");
        _cluster.Pods.Remove(Db);
        Delete(Web);
        Delete(Db);
        await Eventually.TrueAsync(() => _cluster.Calls == 2);
        Assert.Empty(_cluster.Annotated);
        Assert.DoesNotContain(_failed, failure => failure is not null);
    }

    [Fact]
    public async Task Pod_that_moved_during_an_outage_keeps_its_new_address()
    {
        _cluster.Fail(ClusterErrorKind.Unreachable);
        Start();
        Add(Web, "10.0.0.5");
        await Eventually.TrueAsync(() => _cluster.Calls == 1 && _time.PendingTimers > 0);
        _cluster.Pods[Web] = new PodFacts("new", "node-2");
        _time.Advance(ClusterBackoff.Pauses.First);
        await Eventually.TrueAsync(() => _cluster.Calls == 2);
        Add(Db, "10.0.0.9");
        await AnnotatedAsync("default/db vpc.amazonaws.com/pod-ips=10.0.0.9");
    }

    [Fact]
    public async Task Pod_that_moved_before_a_restart_keeps_its_new_address()
    {
        (_addresses[Web], _addresses[Db]) = ("10.0.0.5", "10.0.0.9");
        _cluster.Pods[Web] = new PodFacts("new", "node-2");
        _annotator.Resume([Held(Web, "10.0.0.5"), Held(Db, "10.0.0.9")]);
        Start();
        await AnnotatedAsync("default/db vpc.amazonaws.com/pod-ips=10.0.0.9");
    }

    [Fact]
    public async Task Only_a_fresh_event_is_written_without_reading_the_pod()
    {
        _cluster.Pods[new PodReference("default", "api")] = new PodFacts("uid-api", "node-1");
        _cluster.Fail(ClusterErrorKind.Throttled, TimeSpan.FromSeconds(10));
        Start();
        Add(Web, "10.0.0.5");
        await Eventually.TrueAsync(() => _cluster.Calls == 1 && _time.PendingTimers > 0);
        Add(Db, "10.0.0.9");
        _time.Advance(TimeSpan.FromSeconds(12));
        await Eventually.TrueAsync(() => _cluster.Annotated.Count == 2);
        Add(new PodReference("default", "api"), "10.0.0.7");
        await Eventually.TrueAsync(() => _cluster.Annotated.Count == 3);
        Assert.Equal(["uid-web", "uid-db", null], _cluster.Uids);
    }

    [Fact]
    public async Task Deleted_pod_does_not_clear_a_missing_permission()
    {
        _cluster.Fail(ClusterErrorKind.NotPermitted);
        _cluster.Pods.Remove(Web);
        Start();
        Add(Web, "10.0.0.5");
        await Eventually.TrueAsync(() => _cluster.Calls == 1 && _time.PendingTimers > 0);
        _time.Advance(ClusterBackoff.Pauses.First);
        await Eventually.TrueAsync(() => _cluster.Calls == 2);
        Add(Db, "10.0.0.9");
        await AnnotatedAsync("default/db vpc.amazonaws.com/pod-ips=10.0.0.9");
        await Eventually.TrueAsync(() => _failed.Count == 2);
        Assert.Equal(["NotPermitted", null], _failed);
    }

    [Fact]
    public async Task Unavailable_server_gets_the_last_state_of_each_pod_when_it_returns()
    {
        _cluster.Fail(ClusterErrorKind.Unreachable);
        _cluster.Fail(ClusterErrorKind.Throttled, TimeSpan.FromSeconds(20));
        Start();
        Add(Web, "10.0.0.5");
        await Eventually.TrueAsync(() => _cluster.Calls == 1 && _time.PendingTimers > 0);
        Add(Db, "10.0.0.9");
        Add(Web, "10.0.0.6");
        _time.Advance(ClusterBackoff.Pauses.First);
        await Eventually.TrueAsync(() => _cluster.Calls == 2 && _time.PendingTimers > 0);
        _time.Advance(TimeSpan.FromSeconds(19));
        Assert.Empty(_cluster.Annotated);
        _time.Advance(TimeSpan.FromSeconds(4));
        await AnnotatedAsync("default/db vpc.amazonaws.com/pod-ips=10.0.0.9", "default/web vpc.amazonaws.com/pod-ips=10.0.0.6");
        Assert.Equal(["Unreachable", "Throttled", null], _failed.Take(3));
    }

    [Fact]
    public async Task Missing_permission_is_reported_and_retried()
    {
        _cluster.Fail(ClusterErrorKind.NotPermitted);
        Start();
        Add(Web, "10.0.0.5");
        await Eventually.TrueAsync(() => _cluster.Calls == 1 && _time.PendingTimers > 0);
        Add(Db, "10.0.0.9");
        _time.Advance(ClusterBackoff.Pauses.First);
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.5", "default/db vpc.amazonaws.com/pod-ips=10.0.0.9");
        Assert.Equal(["NotPermitted", null], _failed.Take(2));
    }

    [Theory]
    [InlineData("default", "..")]
    [InlineData(".", "web")]
    [InlineData("default", "Web")]
    public async Task Invalid_pod_name_is_not_requested(string inNamespace, string name)
    {
        Start();
        Add(new PodReference(inNamespace, name), "10.0.0.5");
        Add(Web, "10.0.0.6");
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.6");
        Assert.Equal(1, _cluster.Calls);
    }

    [Fact]
    public async Task Recent_attachments_of_the_previous_daemon_are_annotated()
    {
        _addresses[Web] = "10.0.0.5";
        _addresses[Db] = "10.0.0.9";
        _annotator.Resume([
            Held(Web, "10.0.0.5"),
            Held(Db, "10.0.0.9") with
            {
                AssignedAt = _time.GetUtcNow() - PodAnnotator.ResumeWindow,
            },
        ]);
        Start();
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.5");
    }

    [Fact]
    public async Task Full_queue_drops_the_oldest_pod()
    {
        for (var number = 0; number < PodAnnotator.MaxQueued + 10; number++)
        {
            var pod = new PodReference("default", $"pod-{number}");
            _cluster.Pods[pod] = new PodFacts("uid", "node-1");
            Add(pod, "10.0.0.5");
        }

        Assert.Equal(10, _annotator.Dropped);
        Start();
        await Eventually.TrueAsync(() => _cluster.Annotated.Count == PodAnnotator.MaxQueued);
        Assert.StartsWith("default/pod-10 ", _cluster.Annotated[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Container_outside_kubernetes_is_not_annotated()
    {
        Start();
        Add(new PodReference("", "box"), "10.0.0.5");
        Add(Web, "10.0.0.6");
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.6");
    }

    private Attachment? NewestOf(PodReference pod) =>
        _addresses.TryGetValue(pod, out var address)
            ? (_served.GetValueOrDefault(pod) ?? Held(pod, address)) with
            {
                Interfaces = [new AttachmentInterface("eth0", [IPAddress.Parse(address)], null)],
            }
            : null;

    /// <summary>
    /// A StatefulSet's pod was deleted and created again while the daemon was down: the ledger has the old sandbox, the object is the new
    /// pod.
    /// </summary>
    [Fact]
    public async Task Pod_created_after_the_sandbox_is_not_annotated()
    {
        var old = Held(Web, "10.0.0.5");
        (_served[Web], _addresses[Web], _addresses[Db]) = (old, "10.0.0.5", "10.0.0.9");
        _served[Db] = Held(Db, "10.0.0.9");
        _cluster.Pods[Web] = new PodFacts("uid-new", "node-1", old.AssignedAt + TimeSpan.FromSeconds(30));
        _cluster.Pods[Db] = new PodFacts("uid-db", "node-1", _time.GetUtcNow() - TimeSpan.FromSeconds(5));
        _annotator.Resume([old, _served[Db]]);
        Start();
        await AnnotatedAsync("default/db vpc.amazonaws.com/pod-ips=10.0.0.9");
        Delete(Web);
        Delete(Db);
        await AnnotatedAsync("default/db vpc.amazonaws.com/pod-ips=10.0.0.9", "default/db vpc.amazonaws.com/pod-ips=");
        Assert.DoesNotContain(_cluster.Annotated, line => line.StartsWith("default/web", StringComparison.Ordinal));
    }

    /// <summary>The clocks of node and API server differ, so the annotated UID identifies the pod.</summary>
    [Fact]
    public async Task Annotated_pod_is_recognised_by_its_uid()
    {
        _cluster.Pods[Web] = new PodFacts("uid-web", "node-1", _time.GetUtcNow() + TimeSpan.FromMinutes(1));
        Start();
        Add(Web, "10.0.0.5");
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.5");
        Delete(Web);
        await AnnotatedAsync("default/web vpc.amazonaws.com/pod-ips=10.0.0.5", "default/web vpc.amazonaws.com/pod-ips=");

        Add(Web, "10.0.0.6");
        await Eventually.TrueAsync(() => _cluster.Annotated.Count == 3);
        _cluster.Pods[Web] = new PodFacts("uid-new", "node-1", _time.GetUtcNow() - TimeSpan.FromMinutes(1));
        Delete(Web);
        Add(Db, "10.0.0.9");
        await Eventually.TrueAsync(() => _cluster.Annotated.Count == 4);
        Assert.StartsWith("default/db", _cluster.Annotated[3], StringComparison.Ordinal);
    }

    private static AttachmentKey Key => new("net", "c", "eth0");

    private void Start() => _running = _annotator.RunAsync(_stop.Token);

    private void Add(PodReference pod, string address)
    {
        _addresses[pod] = address;
        _annotator.Record(
            new PoolEvent.AddServed(_time.GetUtcNow(), _served[pod] = Held(pod, address), IsNew: true, TimeSpan.Zero, TimeSpan.Zero, null)
        );
    }

    private void Delete(PodReference pod)
    {
        _addresses.Remove(pod, out var address);
        _annotator.Record(
            new PoolEvent.Deleted(_time.GetUtcNow(), Key, _served.GetValueOrDefault(pod) ?? Held(pod, address ?? "10.0.0.1"), TimeSpan.Zero)
        );
    }

    private Attachment Held(PodReference pod, string address) =>
        new()
        {
            Key = Key,
            Pod = pod,
            Interfaces = [new AttachmentInterface("eth0", [IPAddress.Parse(address)], null)],
            AssignedAt = _time.GetUtcNow(),
        };

    private async Task AnnotatedAsync(params string[] expected)
    {
        await Eventually.TrueAsync(() => _cluster.Annotated.Count == expected.Length);
        Assert.Equal(expected, _cluster.Annotated);
    }
}
