// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.HostNetwork;

public sealed class RepairJournalTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly List<RepairsMade> _told = [];
    private readonly RepairJournal _journal;

    public RepairJournalTests() => _journal = new RepairJournal(_told.Add, _time, NullLogger.Instance);

    [Fact]
    public void Repairs_are_counted_by_kind_and_reported_once()
    {
        _journal.Repaired(RepairKind.Rule, 3, "ip rule add ..");
        _time.Advance(TimeSpan.FromMinutes(1));
        _journal.Repaired(RepairKind.Rule, 2, "ip rule add ..");
        Assert.Equal(new RepairCount { Repaired = 5, LastRepair = _time.GetUtcNow() }, _journal.Report.Kinds[RepairKind.Rule]);
        Assert.Equal(new RepairCount(), _journal.Report.Kinds[RepairKind.Link]);
        Assert.Equal([new RepairsMade(RepairKind.Rule, 3, "ip rule add .."), new RepairsMade(RepairKind.Rule, 2, "ip rule add ..")], _told);
    }

    [Fact]
    public void Additions_of_the_first_sync_are_not_counted()
    {
        _journal.Added(RepairKind.Rule, 3, "ip rule add ..");
        Assert.Equal(new RepairCount(), _journal.Report.Kinds[RepairKind.Rule]);
        Assert.Empty(_told);
    }

    [Fact]
    public void Dispute_over_one_kind_delays_no_other_and_ends()
    {
        for (var time = 0; time <= RepairBackoff.Patience; time++)
            _journal.Repaired(RepairKind.Link, 1, "ip link set ..");
        Assert.True(_journal.NotBefore(RepairKind.Link) > _time.GetUtcNow());
        Assert.True(_journal.NotBefore(RepairKind.Rule) <= _time.GetUtcNow());
        Assert.Equal((true, 1), (_journal.Report.Kinds[RepairKind.Link].IsDisputed, _journal.Report.Kinds[RepairKind.Link].Disputes));

        _time.Advance(TimeSpan.FromMinutes(2));
        _journal.Unchanged(RepairKind.Link);
        Assert.True(_journal.NotBefore(RepairKind.Link) <= _time.GetUtcNow());
        Assert.Equal((false, 1), (_journal.Report.Kinds[RepairKind.Link].IsDisputed, _journal.Report.Kinds[RepairKind.Link].Disputes));
    }

    [Fact]
    public void Syncs_are_counted_and_the_last_one_has_a_time()
    {
        _journal.Synced();
        _time.Advance(TimeSpan.FromSeconds(5));
        _journal.Synced();
        Assert.Equal((2, _time.GetUtcNow()), (_journal.Report.Syncs, _journal.Report.LastSync));
    }
}
