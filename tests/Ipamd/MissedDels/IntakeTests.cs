// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Events;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.MissedDels;
using VpcCni.Ipamd.Planning;
using VpcCni.Ipamd.Tests.Harness;
using VpcCni.MissedDels;
using Xunit;

namespace VpcCni.Ipamd.Tests.MissedDels;

/// <summary>Tests what the record of a missed DEL releases, and what it never does.</summary>
public sealed class IntakeTests : IDisposable
{
    private const string Boot = "this boot";

    private readonly PoolHarness _pool = new(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
    private readonly FakeMissedDels _notes = new();
    private readonly CancellationTokenSource _stop = new();

    public void Dispose() => _stop.Dispose();

    [Fact]
    public async Task Record_releases_the_address_and_is_removed_once_durable()
    {
        await AddAsync("a", "b");
        Pass(5);
        _notes.Leave(NoteOf("a"));
        Pass(3);
        var running = Start();

        Assert.Equal((1, 1), (_pool.View.Assigned, _pool.View.Cooling));
        Assert.Null(_pool.Ledger.Find(PoolHarness.Key("a")));
        Assert.NotNull(_pool.Ledger.Find(PoolHarness.Key("b")));
        Assert.Empty(_notes.Entries);
        Assert.DoesNotContain("\"a\"", System.Text.Encoding.UTF8.GetString(_pool.File.Content!), StringComparison.Ordinal);
        // The cooldown started at the DEL, not when the daemon read the record.
        Pass(26);
        Assert.Equal(1, _pool.View.Cooling);
        Pass(2);
        Assert.Equal(0, _pool.View.Cooling);
        var told = Assert.Single(_pool.Published.OfType<PoolEvent.MissedDelete>());
        Assert.Equal((MissedDelOutcome.Released, "a"), (told.Outcome, told.Released!.Pod.Name));
        await StopAsync(running);
    }

    /// <summary>A daemon that was down for longer than the cooldown still reads the kernel's usage first.</summary>
    [Fact]
    public async Task Old_del_cools_until_the_kernel_usage_is_read()
    {
        await AddAsync("a");
        Pass(1);
        _notes.Leave(NoteOf("a"));
        Pass(300);
        var running = Start();

        Assert.Equal(1, _pool.View.Cooling);
        Pass(PoolLimits.KernelCheckLead.TotalSeconds + 1);
        Assert.Equal(0, _pool.View.Cooling);
        await StopAsync(running);
    }

    [Fact]
    public async Task Record_older_than_the_add_is_removed_without_a_release()
    {
        var note = NoteOf("a");
        Pass(1);
        await AddAsync("a");
        await AssertOutdatedAsync(note);
    }

    /// <summary>The runtime deleted the sandbox and adds it again before the daemon reads the record; it keeps its address.</summary>
    [Fact]
    public async Task Sandbox_that_was_added_again_keeps_its_address()
    {
        await AddAsync("a");
        Pass(1);
        var note = NoteOf("a");
        Pass(1);
        await AddAsync("a");
        await AssertOutdatedAsync(note);
    }

    /// <summary>The daemon was restarted after the repeated ADD, which is on disk.</summary>
    [Fact]
    public async Task Repeated_add_survives_a_restart()
    {
        await AddAsync("a");
        Pass(1);
        var note = NoteOf("a");
        Pass(1);
        await AddAsync("a");

        var next = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        next.Time.Advance(_pool.Time.GetUtcNow() + TimeSpan.FromSeconds(5) - next.Time.GetUtcNow());
        next.Ledger.Restore(VpcCni.Ipamd.Ledger.Checkpoint.CheckpointFormat.Read(_pool.File.Content!), ClockReading.Of(next.Time, Boot));
        _notes.Leave(note);
        var running = Start(next);

        Assert.NotNull(next.Ledger.Find(PoolHarness.Key("a")));
        await StopAsync(running);
    }

    [Fact]
    public async Task Record_of_another_boot_or_unknown_attachment_is_removed()
    {
        await AddAsync("a");
        Pass(1);
        _notes.Leave(NoteOf("a") with { BootId = "an earlier boot" });
        _notes.Leave(NoteOf("stranger"));
        _notes.Put(new MissedDelEntry("half", null, "it is no JSON"));
        var running = Start();

        Assert.NotNull(_pool.Ledger.Find(PoolHarness.Key("a")));
        Assert.Empty(_notes.Entries);
        Assert.Equal([MissedDelOutcome.Unknown, MissedDelOutcome.OtherBoot, MissedDelOutcome.Unusable], Outcomes().Order());
        await StopAsync(running);
    }

    [Fact]
    public async Task Record_before_a_clock_change_counts_by_the_time_since_boot()
    {
        await AddAsync("a");
        Pass(2);
        _notes.Leave(NoteOf("a") with { At = _pool.Time.GetUtcNow() - TimeSpan.FromDays(3) });
        Pass(1);
        var running = Start();

        Assert.Null(_pool.Ledger.Find(PoolHarness.Key("a")));
        Assert.Equal(
            _pool.Time.GetUtcNow() - TimeSpan.FromSeconds(1),
            Assert.Single(_pool.Published.OfType<PoolEvent.MissedDelete>()).AskedAt
        );
        await StopAsync(running);
    }

    /// <summary>No plugin writes such a record; nothing is released by it.</summary>
    [Fact]
    public async Task Record_from_the_future_releases_nothing()
    {
        await AddAsync("a");
        _notes.Leave(NoteOf("a") with { SinceBoot = _pool.Time.GetElapsedTime(0) + TimeSpan.FromDays(1) });
        var running = Start();

        Assert.NotNull(_pool.Ledger.Find(PoolHarness.Key("a")));
        Assert.Empty(_notes.Entries);
        await StopAsync(running);
    }

    [Fact]
    public async Task Record_stays_until_the_checkpoint_is_written_and_is_counted_once()
    {
        await AddAsync("a");
        Pass(1);
        _notes.Leave(NoteOf("a"));
        _pool.File.RefuseWrites = true;
        var (intake, running) = StartIntake(_pool);

        Assert.Equal(1, _pool.View.Cooling);
        Assert.Single(_notes.Entries);
        Assert.Contains("no space left", intake.Problem, StringComparison.Ordinal);
        _pool.File.RefuseWrites = false;
        Pass(MissedDelIntake.RetryAfter.TotalSeconds);
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => _notes.Entries.Count == 0);
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => intake.Problem is null);
        Assert.Equal([MissedDelOutcome.Released], Outcomes());
        await StopAsync(running);
    }

    /// <summary>A directory under a record's name may be impossible to remove, and must not block other records.</summary>
    [Fact]
    public async Task Record_that_cannot_be_removed_is_reported_once_and_blocks_no_other()
    {
        await AddAsync("a");
        Pass(1);
        _notes.Put(new MissedDelEntry("1-folder", null, "it is a directory"));
        _notes.Stuck.Add("1-folder");
        _notes.Leave(NoteOf("a"));
        var (intake, running) = StartIntake(_pool);

        Assert.Null(_pool.Ledger.Find(PoolHarness.Key("a")));
        Assert.Equal("1-folder", Assert.Single(_notes.Entries).Name);
        Assert.Contains("1-folder", intake.Problem, StringComparison.Ordinal);
        var reads = _notes.Reads;
        Pass(MissedDelIntake.RetryAfter.TotalSeconds);
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => _notes.Reads > reads);
        Assert.Single(Outcomes(), MissedDelOutcome.Unusable);
        await StopAsync(running);
    }

    [Fact]
    public async Task New_record_is_processed_at_once_or_unnotified_within_30_seconds()
    {
        await AddAsync("a", "b");
        var running = Start();
        Pass(1);
        _notes.Leave(NoteOf("a"));
        _notes.Notify();
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => _pool.Ledger.Find(PoolHarness.Key("a")) is null);

        _notes.Leave(NoteOf("b"));
        // The next wait may begin a moment after the record was processed.
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() =>
        {
            Pass(MissedDelIntake.RescanInterval.TotalSeconds);
            return _pool.Ledger.Find(PoolHarness.Key("b")) is null;
        });
        await StopAsync(running);
    }

    [Fact]
    public async Task Unreadable_folder_is_a_problem_until_it_is_readable()
    {
        _notes.Refusal = "it is a symbolic link";
        var (intake, running) = StartIntake(_pool);
        Assert.Contains("it is a symbolic link", intake.Problem, StringComparison.Ordinal);

        _notes.Refusal = null;
        Pass(MissedDelIntake.RetryAfter.TotalSeconds);
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => intake.Problem is null);
        await StopAsync(running);
    }

    [Fact]
    public async Task Unreadable_file_is_a_problem_and_blocks_no_other()
    {
        await AddAsync("a");
        Pass(1);
        _notes.Unread = "open x: errno 24";
        _notes.Leave(NoteOf("a"));
        var (intake, running) = StartIntake(_pool);

        Assert.Null(_pool.Ledger.Find(PoolHarness.Key("a")));
        Assert.Contains("errno 24", intake.Problem, StringComparison.Ordinal);
        await StopAsync(running);
    }

    [Fact]
    public async Task Foreign_files_are_a_problem_and_stay()
    {
        _notes.Foreign = 3;
        var (intake, running) = StartIntake(_pool);

        Assert.Equal("the folder of missed DELs has 3 foreign files: remove them", intake.Problem);
        await StopAsync(running);
    }

    /// <summary>aws-node may have recorded a pod without its network name.</summary>
    [Fact]
    public async Task Record_releases_an_attachment_that_aws_node_keyed_by_container()
    {
        await AddAsync("other");
        var key = new AttachmentKey("_migrated-from-cri", "a", "unknown");
        _pool.Ledger.Assign(key, new PodReference("default", "a"), "", _pool.Time.GetUtcNow());
        Pass(1);
        _notes.Leave(NoteOf("a"));
        var running = Start();

        Assert.Null(_pool.Ledger.Find(key));
        await StopAsync(running);
    }

    [Fact]
    public async Task Full_node_has_an_address_once_the_kernel_usage_was_read()
    {
        await AddAsync("a", "b", "c");
        Pass(1);
        _notes.Leave(NoteOf("a"));
        Pass(60);
        var running = Start();
        await _pool.StepAsync();
        Pass(PoolLimits.KernelCheckLead.TotalSeconds);
        await _pool.StepAsync();

        Assert.IsType<AddOutcome.Assigned>(await _pool.AddAsync("next"));
        await StopAsync(running);
    }

    /// <summary>The record is removed, and its sandbox keeps its address.</summary>
    private async Task AssertOutdatedAsync(MissedDel note)
    {
        _notes.Leave(note);
        var running = Start();
        Assert.NotNull(_pool.Ledger.Find(PoolHarness.Key(note.ContainerId)));
        Assert.Empty(_notes.Entries);
        Assert.Equal([MissedDelOutcome.Outdated], Outcomes());
        await StopAsync(running);
    }

    private async Task AddAsync(params string[] containers)
    {
        await _pool.StepAsync();
        foreach (var container in containers)
            Assert.IsType<AddOutcome.Assigned>(await _pool.AddAsync(container));
    }

    private MissedDel NoteOf(string container) =>
        new("aws-cni", container, "eth0", _pool.Time.GetUtcNow(), _pool.Time.GetElapsedTime(0), Boot);

    private Task Start(PoolHarness? pool = null) => StartIntake(pool ?? _pool).Running;

    private (MissedDelIntake Intake, Task Running) StartIntake(PoolHarness pool)
    {
        var intake = new MissedDelIntake(
            _notes,
            pool.Ledger,
            pool.Writer,
            pool.Waiting,
            new PoolSignal(),
            pool.Pool,
            pool.Time,
            Boot,
            NullLogger<MissedDelIntake>.Instance
        );
        return (intake, intake.RunAsync(_stop.Token));
    }

    private async Task StopAsync(Task running)
    {
        await _stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private void Pass(double seconds) => _pool.Time.Advance(TimeSpan.FromSeconds(seconds));

    private MissedDelOutcome[] Outcomes() => [.. _pool.Published.OfType<PoolEvent.MissedDelete>().Select(told => told.Outcome)];
}
