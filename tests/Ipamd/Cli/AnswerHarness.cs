// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.History;
using VpcCni.Ipamd.Readiness;
using VpcCni.Ipamd.Rpc;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.Protos.V1;

namespace VpcCni.Ipamd.Tests.Cli;

/// <summary>An in-memory pool with the daemon's replies, in virtual time.</summary>
internal sealed class AnswerHarness
{
    /// <param name="pool">The pool.</param>
    /// <param name="facts">What the other parts of the daemon report; <see cref="Facts.Healthy"/> by default.</param>
    public AnswerHarness(PoolHarness pool, DaemonFacts? facts = null)
    {
        Pool = pool;
        State = new DaemonState("1.2.3", pool.Time);
        State.Attach(facts ?? Facts.Healthy);
        Budget = new ApiRateLimiter(new ApiBudgetOptions(), (_, _, _) => { }, pool.Time, new Random(1));
        pool.Pool.Subscribe(History.Observe);
        Health = new HealthMonitor(
            State,
            pool.Ledger,
            (report, _) => Changes.Add(report.Headline),
            pool.Time,
            NullLogger<HealthMonitor>.Instance
        );
        pool.Pool.Subscribe(Health.Observe);
        Parts = new NodeIpamParts(
            pool.Ledger,
            pool.Service,
            pool.Waiting,
            Budget,
            new PoolSignal(),
            pool.Pool,
            History,
            State,
            Health,
            pool.Time
        );
    }

    public PoolHarness Pool { get; }
    public DaemonState State { get; }
    public ApiRateLimiter Budget { get; }
    public PoolHistory History { get; } = new();
    public NodeIpamParts Parts { get; }
    public HealthMonitor Health { get; }

    /// <summary>Headlines of the reported changes.</summary>
    public List<string> Changes { get; } = [];

    /// <summary>Starts serving as the daemon does once the node is known.</summary>
    public async Task ServeAsync()
    {
        State.Identified(await Pool.Cloud.IdentifyNodeAsync(CancellationToken.None));
        var outcome = await Pool.StepAsync();
        State.Serving(Pool.Reconciler);
        State.Stepped(outcome);
    }

    public GetStatusReply Status() => StatusReplies.Of(Parts);

    public ExplainReply Explain(string subject) => ExplainReplies.Of(Parts, VpcCni.Ipamd.Cli.ExplainReport.Parse(subject));
}
