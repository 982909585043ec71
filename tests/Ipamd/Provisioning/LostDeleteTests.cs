// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Ipamd.Allocation;
using VpcCni.Ipamd.Ledger;
using VpcCni.Ipamd.Ledger.Checkpoint;
using VpcCni.Ipamd.Observation;
using VpcCni.Ipamd.Tests.Harness;
using Xunit;

namespace VpcCni.Ipamd.Tests.Provisioning;

/// <summary>Addresses of sandboxes that ended without a DEL are released as soon as they are certainly unused, and never before.</summary>
public sealed class LostDeleteTests
{
    private readonly PoolHarness _pool = new(new FakeCloud().WithPrimary(3), provisioningDisabled: true);

    [Fact]
    public async Task Attachment_unused_at_two_checks_ten_seconds_apart_is_released()
    {
        await _pool.StepAsync();
        await _pool.AddAsync("lost");
        foreach (var (seconds, expected) in new[] { (67, 1), (67, 1), (67, 1), (10, 0) })
        {
            await PassAsync(seconds);
            Assert.Equal(expected, _pool.View.Assigned);
        }

        // It has cooled since the first of the two checks.
        Assert.Equal(1, _pool.View.Cooling);
        await PassAsync(20);
        Assert.Equal((0, 3), (_pool.View.Cooling, _pool.View.Free));
    }

    [Fact]
    public async Task Attachment_without_namespace_needs_no_minimum_age()
    {
        _pool.Host.SeesNamespaces = true;
        await _pool.StepAsync();
        await _pool.AddAsync("lost");
        await PassAsync(67);
        Assert.Equal(1, _pool.View.Assigned);
        await PassAsync(10);
        Assert.Equal(0, _pool.View.Assigned);
    }

    /// <summary>The confirmation must not start over with each restart: a daemon in a crash loop would never release anything.</summary>
    [Fact]
    public async Task Restart_between_the_two_checks_does_not_start_over()
    {
        _pool.Host.SeesNamespaces = true;
        await _pool.StepAsync();
        await _pool.AddAsync("lost");
        await PassAsync(67);
        await _pool.Writer.PersistAsync(default);

        var next = new PoolHarness(new FakeCloud().WithPrimary(3), provisioningDisabled: true);
        next.Host.SeesNamespaces = true;
        next.Time.Advance(_pool.Time.GetUtcNow() + TimeSpan.FromSeconds(20) - next.Time.GetUtcNow());
        next.Ledger.Restore(CheckpointFormat.Read(_pool.File.Content), ClockReading.Of(next.Time));
        await next.StepAsync();
        Assert.Equal(0, next.View.Assigned);
    }

    [Fact]
    public async Task Pending_ADD_on_a_full_node_triggers_a_kernel_check()
    {
        _pool.Host.SeesNamespaces = true;
        await _pool.StepAsync();
        foreach (var pod in new[] { "a", "b", "lost" })
            await _pool.AddAsync(pod);
        foreach (var pod in new[] { "a", "b" })
            _pool.Host.Namespaces.Add($"/run/netns/{pod}");
        await PassAsync(6);
        Assert.Equal(3, _pool.View.Assigned);
        var waiting = _pool.AddAsync("waiting");
        await _pool.StepAsync();
        Assert.NotNull(_pool.Ledger.Find(PoolHarness.Key("lost"))!.UnusedSince);
        await PassAsync(10);
        Assert.Null(_pool.Ledger.Find(PoolHarness.Key("lost")));
        Assert.IsType<AddOutcome.NoAddress>(await waiting);
        // It has cooled since the first check, 10 s before.
        await PassAsync(20);
        Assert.IsType<AddOutcome.Assigned>(await _pool.AddAsync("waiting"));
    }

    [Theory]
    [InlineData("route")]
    [InlineData("veth")]
    [InlineData("namespace")]
    public async Task Usage_between_two_checks_keeps_the_attachment(string usage)
    {
        _pool.Host.SeesNamespaces = true;
        await _pool.StepAsync();
        var address = Assert.IsType<AddOutcome.Assigned>(await _pool.AddAsync("a")).Attachment.Addresses[0].Address;
        await PassAsync(67);
        Assert.NotNull(_pool.Ledger.Find(PoolHarness.Key("a"))!.UnusedSince);
        if (usage == "route")
            _pool.Host.Route("eni0123456789a", address);
        if (usage == "veth")
            _pool.Host.Links.Add("eni" + KernelUsage.LinkSuffix(new PodReference("default", "a")));
        if (usage == "namespace")
            _pool.Host.Namespaces.Add("/run/netns/a");
        // Except for the minimum age, which ends with the namespace: without proof that it is gone, it counts from the ADD.
        await PassAsync(200);
        await PassAsync(67);
        Assert.Null(_pool.Ledger.Find(PoolHarness.Key("a"))?.UnusedSince);
        Assert.NotNull(_pool.Ledger.Find(PoolHarness.Key("a")));
    }

    /// <summary>
    /// After a lost checkpoint, a DEL of the old sandbox and an ADD of a new one under the same name: the link carries the new one's
    /// address, so the recovered one is released.
    /// </summary>
    [Fact]
    public async Task Recreated_pod_does_not_keep_the_address_of_its_old_sandbox()
    {
        var link = "eni" + KernelUsage.LinkSuffix(new PodReference("default", "ss-0"));
        await _pool.StepAsync();
        var old = _pool.View.Interfaces[0].Blocks[0].Range.BaseAddress;
        _pool.Host.Route(link, old);
        _pool.Usage.ReserveInUse();
        var current = Assert.IsType<AddOutcome.Assigned>(await _pool.AddAsync("ss-0")).Attachment.Addresses[0].Address;
        _pool.Host.Pods.Clear();
        _pool.Host.Route(link, current);
        // As an earlier repair restored it.
        _pool.Host.Route(link, old);
        await PassAsync(67);
        await PassAsync(10);
        Assert.Equal(current, Assert.Single(_pool.Ledger.Attachments()).Addresses[0].Address);
    }

    [Fact]
    public async Task DEL_releases_the_recovered_address_of_its_pod()
    {
        var link = "eni" + KernelUsage.LinkSuffix(new PodReference("default", "ss-0"));
        await _pool.StepAsync();
        var old = _pool.View.Interfaces[0].Blocks[0].Range.BaseAddress;
        _pool.Host.Route(link, old);
        _pool.Usage.ReserveInUse();

        // A late DEL of another sandbox of that name: the address is still routed, so it is in use.
        Assert.Null(await _pool.DeleteAsync("ss-0"));
        Assert.Equal(1, _pool.View.Assigned);

        _pool.Host.Pods.Clear();
        _pool.Host.Links.Add(link);
        Assert.Equal(old, (await _pool.DeleteAsync("ss-0"))!.Addresses[0].Address);
        Assert.Equal((0, 1), (_pool.View.Assigned, _pool.View.Cooling));
    }

    [Fact]
    public void Reboot_releases_unused_addresses_as_of_the_boot()
    {
        var written = new ClockReading(_pool.Time.GetUtcNow(), TimeSpan.FromHours(5)) { BootId = "before" };
        var now = new ClockReading(_pool.Time.GetUtcNow().AddMinutes(2), TimeSpan.FromSeconds(20)) { BootId = "after" };
        Assert.True(now.IsAfterRebootSince(written));
        _pool.Time.Advance(TimeSpan.FromMinutes(2));
        _pool.Ledger.Restore(
            new LedgerRecord([Attachment("a", "10.0.0.5", written.Now), Attachment("b", "10.0.0.6", written.Now)], [])
            {
                WrittenAt = written,
            },
            now
        );
        _pool.Host.Route("eni0123456789a", IPAddress.Parse("10.0.0.6"));

        _pool.Usage.ReleaseAfterReboot(now.BootedAt);
        Assert.Equal("b", Assert.Single(_pool.Ledger.Attachments()).Key.ContainerId);
        Assert.Equal(now.BootedAt + TimeSpan.FromSeconds(30), Assert.Single(_pool.Ledger.CooldownEnds(now.Now)));
    }

    [Fact]
    public void Unknown_boot_id_is_no_reboot()
    {
        var known = new ClockReading(DateTimeOffset.UnixEpoch, TimeSpan.Zero) { BootId = "one" };
        Assert.False(known.IsAfterRebootSince(known with { BootId = null }));
        Assert.False((known with { BootId = null }).IsAfterRebootSince(known));
        Assert.False(known.IsAfterRebootSince(known));
    }

    private async Task PassAsync(int seconds)
    {
        _pool.Time.Advance(TimeSpan.FromSeconds(seconds));
        await _pool.StepAsync();
    }

    private static Attachment Attachment(string container, string address, DateTimeOffset assignedAt) =>
        new()
        {
            Key = PoolHarness.Key(container),
            Pod = new PodReference("default", container),
            Interfaces = [new AttachmentInterface("eth0", [IPAddress.Parse(address)], null)],
            AssignedAt = assignedAt,
        };
}
