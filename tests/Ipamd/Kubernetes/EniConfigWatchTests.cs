// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Placement;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes;

public sealed class EniConfigWatchTests : IAsyncDisposable
{
    private static readonly ClusterOptions Options = new() { EniConfigLabel = "topology.kubernetes.io/zone" };
    private readonly ManualTimeProvider _time = new();
    private readonly FakeObjectSource<EniConfigFacts> _source = new() { Item = new EniConfigFacts("subnet-1", ["sg-1"]), Version = "5" };
    private readonly EniConfigSource _pool;
    private Action _changed = () => { };
    private readonly List<string?> _failed = [];
    private readonly CancellationTokenSource _stop = new();
    private Task? _running;
    private EniConfigWatch? _watch;

    public EniConfigWatchTests() => _pool = new EniConfigSource(() => _changed());

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_running is not null)
            await _running.WaitAsync(TimeSpan.FromSeconds(10));
        _stop.Dispose();
    }

    [Theory]
    [InlineData("vpc.amazonaws.com/externalEniConfig=outer,topology.kubernetes.io/zone=zone", "k8s.amazonaws.com/eniConfig=note", "outer")]
    [InlineData("topology.kubernetes.io/zone=zone", "k8s.amazonaws.com/eniConfig=note", "note")]
    [InlineData("topology.kubernetes.io/zone=zone", "other=x", "zone")]
    [InlineData("k8s.amazonaws.com/eniConfig=unused-label", "", "default")]
    public void Name_comes_from_external_label_annotation_label_or_default(string labels, string annotations, string name) =>
        Assert.Equal(name, EniConfigReference.Of(Node(labels, annotations), Options).Name);

    [Fact]
    public async Task Pool_receives_the_named_eniconfig_and_its_changes()
    {
        Start();
        _watch!.OnNodeUpdated(Node("topology.kubernetes.io/zone=a"));
        await WatchedAsync(new EniConfigState.Present("a", "subnet-1", ["sg-1"]));
        _source.Publish(new EniConfigFacts("subnet-2", []), "6");
        await ToldAsync(new EniConfigState.Present("a", "subnet-2", []));
        _source.Publish(null, "7");
        await ToldAsync(new EniConfigState.Missing("a", "there is no such object (label topology.kubernetes.io/zone of the node)"));
        _source.Publish(new EniConfigFacts("", ["sg-1"]), "8");
        await ToldAsync(new EniConfigState.Missing("a", "its spec.subnet is empty (label topology.kubernetes.io/zone of the node)"));
        Assert.Equal(["list a 0", "watch a 5"], _source.Calls);
    }

    [Fact]
    public async Task Node_that_names_another_eniconfig_switches_the_watch()
    {
        Start();
        _watch!.OnNodeUpdated(Node("topology.kubernetes.io/zone=a"));
        await ToldAsync(new EniConfigState.Present("a", "subnet-1", ["sg-1"]));
        _watch.OnNodeUpdated(Node("topology.kubernetes.io/zone=a", "unrelated=x"));
        _source.Item = new EniConfigFacts("subnet-b", []);
        _watch.OnNodeUpdated(Node("topology.kubernetes.io/zone=a", "k8s.amazonaws.com/eniConfig=b"));
        await ToldAsync(new EniConfigState.Present("b", "subnet-b", []));
        await Eventually.TrueAsync(() => _source.Calls.Count == 4);
        Assert.Equal(["list a 0", "watch a 5", "list b 0", "watch b 5"], _source.Calls);
    }

    [Theory]
    [InlineData("a,metadata.name!=b")]
    [InlineData("Upper")]
    [InlineData("")]
    [InlineData("-a")]
    [InlineData("a/../b")]
    public async Task Invalid_name_is_missing_without_a_request(string name)
    {
        Start();
        _watch!.OnNodeUpdated(Node("", "k8s.amazonaws.com/eniConfig=" + name));
        await ToldAsync(
            new EniConfigState.Missing(name, "this is not a valid object name (annotation k8s.amazonaws.com/eniConfig of the node)")
        );
        Assert.Empty(_source.Calls);
    }

    [Fact]
    public async Task Missing_resource_is_reported_and_its_installation_is_detected()
    {
        _source.Fail(ClusterErrorKind.NotFound);
        Start();
        _watch!.OnNodeUpdated(Node(""));
        await ToldAsync(
            new EniConfigState.Missing(
                "default",
                "the cluster has no resource eniconfigs.crd.k8s.amazonaws.com: its definition is not installed"
            )
        );
        await Eventually.TrueAsync(() => _time.PendingTimers == 1);
        _time.Advance(ClusterBackoff.Pauses.First);
        await ToldAsync(new EniConfigState.Present("default", "subnet-1", ["sg-1"]));
        Assert.Equal(["NotFound", null], _failed);
    }

    [Fact]
    public async Task Unread_eniconfig_is_unknown_with_a_reason()
    {
        _source.Fail(ClusterErrorKind.NotPermitted);
        Start();
        _watch!.OnNodeUnavailable("the API server has no node n");
        await ToldAsync(new EniConfigState.Unknown("the API server has no node n"));
        _watch.OnNodeUpdated(Node(""));
        await ToldAsync(new EniConfigState.Unknown("call: NotPermitted"));
        _watch.OnNodeUnavailable("too late");
        await ToldAsync(new EniConfigState.Unknown("call: NotPermitted"));
    }

    [Fact]
    public async Task Unavailable_server_leaves_the_last_eniconfig_in_force()
    {
        Start();
        _watch!.OnNodeUpdated(Node(""));
        await WatchedAsync(new EniConfigState.Present("default", "subnet-1", ["sg-1"]));
        for (var times = 0; times < 5; times++)
            _source.Fail(ClusterErrorKind.Unreachable);
        _source.End(ClusterErrorKind.Unreachable);
        await Eventually.TrueAsync(() => _failed.Count == 1);
        await ToldAsync(new EniConfigState.Present("default", "subnet-1", ["sg-1"]));
    }

    [Fact]
    public async Task Unreadable_new_eniconfig_is_unknown_and_adds_no_interfaces()
    {
        Start();
        _watch!.OnNodeUpdated(Node("", "k8s.amazonaws.com/eniConfig=a"));
        await WatchedAsync(new EniConfigState.Present("a", "subnet-1", ["sg-1"]));
        List<EniConfigState> states = [];
        _changed = () => states.Add(_pool.Current);
        _source.Item = new EniConfigFacts("subnet-b", []);
        _source.Fail(ClusterErrorKind.NotPermitted);
        _watch.OnNodeUpdated(Node("", "k8s.amazonaws.com/eniConfig=b"));
        await ToldAsync(new EniConfigState.Unknown("call: NotPermitted"));
        await Eventually.TrueAsync(() => _time.PendingTimers == 1);
        _time.Advance(ClusterBackoff.Pauses.First);
        await WatchedAsync(new EniConfigState.Present("b", "subnet-b", []));
        Assert.Equal(
            new EniConfigState.Unknown(
                "the node now names 'b', which has not been read yet (annotation k8s.amazonaws.com/eniConfig of the node)"
            ),
            states[0]
        );
    }

    [Fact]
    public async Task Same_name_from_another_source_keeps_the_state()
    {
        Start();
        _watch!.OnNodeUpdated(Node("", "k8s.amazonaws.com/eniConfig=a"));
        await WatchedAsync(new EniConfigState.Present("a", "subnet-1", ["sg-1"]));
        _source.Fail(ClusterErrorKind.Unreachable);
        _watch.OnNodeUpdated(Node("topology.kubernetes.io/zone=a"));
        await Eventually.TrueAsync(() => _failed.Count == 1);
        Assert.Equal(new EniConfigState.Present("a", "subnet-1", ["sg-1"]), _pool.Current);
    }

    [Fact]
    public async Task Exception_in_the_watch_ends_the_run_and_the_next_run_continues()
    {
        _changed = () => throw new InvalidOperationException("defect");
        Start();
        _watch!.OnNodeUpdated(Node(""));
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => _running!.WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.Equal("defect", failure.Message);
        _changed = () => { };
        _source.Item = new EniConfigFacts("subnet-2", []);
        _running = _watch.RunAsync(_stop.Token);
        await WatchedAsync(new EniConfigState.Present("default", "subnet-2", []));
    }

    private void Start()
    {
        _watch = new EniConfigWatch(
            _source,
            _pool,
            Options,
            failure => _failed.Add(failure?.Kind.ToString()),
            _time,
            new Random(1),
            NullLogger<EniConfigWatch>.Instance
        );
        _running = _watch.RunAsync(_stop.Token);
    }

    private Task ToldAsync(EniConfigState expected) =>
        Eventually.TrueAsync(() => _pool.Current.Equals(expected), what: expected.ToString());

    /// <summary>
    /// Waits for the call after list and watch. The state is published between those two, so only the next call comes from the test.
    /// </summary>
    private Task WatchedAsync(EniConfigState expected) =>
        Eventually.TrueAsync(() => _pool.Current.Equals(expected) && _source.IsWatched, what: expected.ToString());

    private static NodeFacts Node(string labels, string annotations = "") => new("uid", 29, false, Map(labels), Map(annotations));

    private static Dictionary<string, string> Map(string pairs) =>
        pairs.Length == 0
            ? []
            : pairs
                .Split(pairs.Contains("!=", StringComparison.Ordinal) ? '\n' : ',')
                .Select(pair => pair.Split('=', 2))
                .ToDictionary(pair => pair[0], pair => pair[1]);
}
