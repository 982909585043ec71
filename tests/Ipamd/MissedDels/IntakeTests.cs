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

/// <summary>What a note of a DEL releases, and what it never does.</summary>
public sealed class IntakeTests : IDisposable
{
    private const string Boot = "this boot";

    private readonly PoolHarness _pool = new(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
    private readonly FakeMissedDels _notes = new();
    private readonly CancellationTokenSource _stop = new();

    public void Dispose() => _stop.Dispose();

    [Fact]
    public async Task A_note_releases_the_address_and_goes_when_that_is_durable()
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
        // It has cooled since the DEL, not since the daemon heard of it.
        Pass(26);
        Assert.Equal(1, _pool.View.Cooling);
        Pass(2);
        Assert.Equal(0, _pool.View.Cooling);
        var told = Assert.Single(_pool.Published.OfType<PoolEvent.MissedDelete>());
        Assert.Equal((MissedDelOutcome.Released, "a"), (told.Outcome, told.Released!.Pod.Name));
        await StopAsync(running);
    }

    /// <summary>A daemon that was away for longer than the cooldown asks the kernel first all the same.</summary>
    [Fact]
    public async Task An_old_DEL_leaves_the_kernel_time_to_be_asked()
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
    public async Task A_note_that_is_older_than_the_ADD_releases_nothing_and_goes()
    {
        var note = NoteOf("a");
        Pass(1);
        await AddAsync("a");
        await AssertOutdatedAsync(note);
    }

    /// <summary>
    /// The runtime deleted the sandbox, the daemon has not seen the note yet, and the same sandbox is added again: it has the address that
    /// it had.
    /// </summary>
    [Fact]
    public async Task A_sandbox_that_was_added_again_keeps_its_address()
    {
        await AddAsync("a");
        Pass(1);
        var note = NoteOf("a");
        Pass(1);
        await AddAsync("a");
        await AssertOutdatedAsync(note);
    }

    /// <summary>As above, and the daemon was restarted after the ADD: that it came again is on disk.</summary>
    [Fact]
    public async Task A_repeated_ADD_survives_a_restart()
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
    public async Task Notes_of_another_boot_or_of_nothing_go_and_release_nothing()
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
    public async Task A_note_by_a_clock_that_was_set_counts_by_the_time_since_boot()
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

    /// <summary>No machine has one; whoever wrote it, nothing is released by it.</summary>
    [Fact]
    public async Task A_note_of_the_future_releases_nothing()
    {
        await AddAsync("a");
        _notes.Leave(NoteOf("a") with { SinceBoot = _pool.Time.GetElapsedTime(0) + TimeSpan.FromDays(1) });
        var running = Start();

        Assert.NotNull(_pool.Ledger.Find(PoolHarness.Key("a")));
        Assert.Empty(_notes.Entries);
        await StopAsync(running);
    }

    [Fact]
    public async Task A_note_stays_until_the_checkpoint_can_be_written_and_is_counted_once()
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

    /// <summary>Something under the name of a note that cannot be removed stands in nobody's way.</summary>
    [Fact]
    public async Task What_cannot_be_removed_is_reported_once_and_holds_up_no_other()
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
        var looks = _notes.Looks;
        Pass(MissedDelIntake.RetryAfter.TotalSeconds);
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => _notes.Looks > looks);
        Assert.Single(Outcomes(), MissedDelOutcome.Unusable);
        await StopAsync(running);
    }

    [Fact]
    public async Task A_note_that_arrives_is_taken_at_once_and_one_without_a_word_within_half_a_minute()
    {
        await AddAsync("a", "b");
        var running = Start();
        Pass(1);
        _notes.Leave(NoteOf("a"));
        _notes.Arrived();
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() => _pool.Ledger.Find(PoolHarness.Key("a")) is null);

        _notes.Leave(NoteOf("b"));
        // The next wait may begin a moment after the note was taken.
        await VpcCni.Tests.Shared.Eventually.TrueAsync(() =>
        {
            Pass(MissedDelIntake.RescanInterval.TotalSeconds);
            return _pool.Ledger.Find(PoolHarness.Key("b")) is null;
        });
        await StopAsync(running);
    }

    [Fact]
    public async Task A_folder_that_cannot_be_read_is_a_problem_until_it_can()
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
    public async Task A_file_that_cannot_be_read_now_is_a_problem_and_holds_up_no_other()
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
    public async Task Files_that_are_no_notes_are_a_problem_and_stay()
    {
        _notes.Foreign = 3;
        var (intake, running) = StartIntake(_pool);

        Assert.Equal("the folder of missed DELs has 3 files that are none: remove them", intake.Problem);
        await StopAsync(running);
    }

    /// <summary>Of a pod that aws-node took over from a runtime without knowing its network.</summary>
    [Fact]
    public async Task A_note_releases_what_aws_node_recorded_under_the_container_alone()
    {
        await AddAsync("other");
        var key = new AttachmentKey("_migrated-from-cri", "a", "unknown");
        _pool.Ledger.Assign(
            key,
            new PodReference("default", "a"),
            "",
            [System.Net.Sockets.AddressFamily.InterNetwork],
            _pool.Time.GetUtcNow()
        );
        Pass(1);
        _notes.Leave(NoteOf("a"));
        var running = Start();

        Assert.Null(_pool.Ledger.Find(key));
        await StopAsync(running);
    }

    [Fact]
    public async Task A_full_node_has_an_address_again_once_the_kernel_was_asked()
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

    /// <summary>The note goes, and its sandbox keeps what it holds.</summary>
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

    private sealed class FakeMissedDels : IMissedDels
    {
        private readonly Lock _lock = new();
        private readonly SortedDictionary<string, MissedDelEntry> _entries = new(StringComparer.Ordinal);

        public Action Arrived { get; set; } = () => { };
        public HashSet<string> Stuck { get; } = [];
        public string? Refusal { get; set; }
        public string? Unread { get; set; }
        public int Foreign { get; set; }
        public int Looks { get; private set; }

        public IReadOnlyList<MissedDelEntry> Entries
        {
            get
            {
                lock (_lock)
                    return [.. _entries.Values];
            }
        }

        public void Leave(MissedDel note) => Put(new MissedDelEntry(note.ContainerId, note, null));

        public void Put(MissedDelEntry entry)
        {
            lock (_lock)
                _entries[entry.Name] = entry;
        }

        public MissedDelReading Read()
        {
            lock (_lock)
            {
                Looks++;
                return Refusal is { } refusal
                    ? throw new IOException(refusal)
                    : new MissedDelReading([.. _entries.Values], Foreign, Unread);
            }
        }

        public void Remove(MissedDelEntry entry)
        {
            lock (_lock)
            {
                if (Stuck.Contains(entry.Name))
                    throw new IOException($"remove {entry.Name}: it is a directory that is not empty");
                _entries.Remove(entry.Name);
            }
        }
    }
}
