// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Datapath;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Clouds.Aws;
using VpcCni.Ipamd.Clouds.Aws.Imds;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Clouds.Aws.Imds;

public sealed class InterfaceMetadataTests : IAsyncLifetime
{
    private const string Second = "02:00:00:00:00:02";
    private const string Third = "02:00:00:00:00:03";

    private readonly ManualTimeProvider _time = new();
    private FakeImds _imds = null!;
    private ImdsClient _client = null!;
    private InterfaceMetadata _interfaces = null!;

    public async ValueTask InitializeAsync()
    {
        _imds = await FakeImds.StartAsync();
        _client = new ImdsClient(new ImdsOptions { Endpoint = _imds.Url }, _time, new Random(1), onAttempt: _ => { });
        _interfaces = new InterfaceMetadata(_client, _time);
        Add(FakeImds.Mac, "eni-1", device: 0, "10.0.0.10");
        _imds.SetPrimary("security-group-ids", "sg-1\nsg-2");
        Add(Second, "eni-2", device: 1, "10.0.0.20\n10.0.0.21\n10.0.0.22");
        _imds.SetInterface(Second, "ipv4-prefix", "10.0.0.32/28\n10.0.0.48/28");
        _imds.SetInterface(Second, "ipv6s", "2600::5");
        _imds.SetInterface(Second, "ipv6-prefix", "2600:1f13:a:b:1::/80");
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _imds.DisposeAsync();
    }

    [Fact]
    public async Task Hints_are_all_blocks_of_both_families_without_the_primary_address()
    {
        var hints = await _interfaces.ReadHintsAsync(FakeImds.Node, default);

        Assert.Equal(["eni-1", "eni-2"], hints.Select(hint => hint.Id.Value));
        Assert.Empty(hints[0].Blocks);
        Assert.Equal(
            ["10.0.0.21/32", "10.0.0.22/32", "2600::5/128", "10.0.0.32/28", "10.0.0.48/28", "2600:1f13:a:b:1::/80"],
            hints[1].Blocks.Select(block => block.ToString())
        );
    }

    [Fact]
    public async Task Missing_keys_are_not_requested()
    {
        await _interfaces.ReadHintsAsync(FakeImds.Node, default);

        Assert.DoesNotContain(
            _imds.Requests,
            request =>
                request.Path.Contains(FakeImds.Mac, StringComparison.Ordinal) && request.Path.Contains("prefix", StringComparison.Ordinal)
        );
        Assert.Equal(1, _imds.Count($"meta-data/network/interfaces/macs/{Second}/ipv4-prefix"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("interface-id")]
    [InlineData("local-ipv4s")]
    [InlineData("ipv4-prefix")]
    public async Task Interface_that_vanishes_while_it_is_read_is_omitted_from_the_hints(string asked)
    {
        VanishWhenRequested(asked, times: 1);

        Assert.Equal(["eni-1"], (await _interfaces.ReadHintsAsync(FakeImds.Node, default)).Select(hint => hint.Id.Value));
    }

    [Fact]
    public async Task All_interfaces_are_read_from_the_metadata()
    {
        _imds.SetInterface(Second, "network-card", "1");

        var all = await _interfaces.ReadAllAsync(FakeImds.Node, default);

        Assert.Equal(2, all.Count);
        var (first, second) = (all[0], all[1]);
        Assert.Equal(
            ("eni-1", FakeImds.Mac, "subnet-1", IPAddress.Parse("10.0.0.10"), (Slot?)Slot.Primary),
            (first.Id.Value, first.Mac, first.SubnetId, first.PrimaryAddress, first.Slot)
        );
        Assert.Equal(
            (IPNetwork.Parse("10.0.0.0/24"), Ec2InterfaceState.InUse, "interface", "not-in-instance-metadata"),
            (first.SubnetRange, first.State, first.InterfaceType, first.AttachmentId)
        );
        Assert.Equal(["sg-1", "sg-2"], first.SecurityGroupIds);
        Assert.Empty(first.Tags);
        Assert.Equal(("eni-2", (Slot?)new Slot(1, 1), IPAddress.Parse("10.0.0.20")), (second.Id.Value, second.Slot, second.PrimaryAddress));
        Assert.Equal(
            ["10.0.0.21/32", "10.0.0.22/32", "2600::5/128", "10.0.0.32/28", "10.0.0.48/28", "2600:1f13:a:b:1::/80"],
            second.Blocks.Select(block => block.ToString())
        );
    }

    [Fact]
    public async Task Network_card_has_two_names()
    {
        _imds.SetInterface(Second, "network-card-index", "3");

        Assert.Equal([0, 3], (await _interfaces.ReadAllAsync(FakeImds.Node, default)).Select(item => item.Slot!.Value.NetworkCard));
    }

    [Fact]
    public async Task Interface_without_addresses_is_read_without_addresses()
    {
        Add(Third, "eni-3", device: 2, addresses: null);

        var efa = (await _interfaces.ReadAllAsync(FakeImds.Node, default)).Single(item => item.Id.Value == "eni-3");
        Assert.Equal((IPAddress.Any, "efa-only", (Slot?)new Slot(0, 2)), (efa.PrimaryAddress, efa.InterfaceType, efa.Slot));
        Assert.Empty(efa.Blocks);
        Assert.Empty((await _interfaces.ReadHintsAsync(FakeImds.Node, default)).Single(hint => hint.Id.Value == "eni-3").Blocks);
    }

    [Fact]
    public async Task Interface_of_an_IPv6_only_subnet_has_an_IPv6_primary_address()
    {
        Add(Third, "eni-3", device: 2, addresses: null);
        _imds.SetInterface(Third, "ipv6s", "2600::7\n2600::8");
        _imds.SetInterface(Third, "subnet-ipv6-cidr-blocks", "2600::/64");

        var item = (await _interfaces.ReadAllAsync(FakeImds.Node, default)).Single(item => item.Id.Value == "eni-3");

        Assert.Equal(
            (IPAddress.Parse("2600::7"), IPNetwork.Parse("2600::/64"), "interface"),
            (item.PrimaryAddress, item.SubnetRange, item.InterfaceType)
        );
        Assert.Equal([IPNetwork.Parse("2600::8/128")], item.Blocks);
    }

    [Theory]
    [InlineData("")]
    [InlineData("interface-id")]
    [InlineData("device-number")]
    [InlineData("subnet-id")]
    public async Task Reading_that_met_a_change_is_repeated(string asked)
    {
        VanishWhenRequested(asked, times: 1);

        Assert.Equal(["eni-1"], (await _interfaces.ReadAllAsync(FakeImds.Node, default)).Select(item => item.Id.Value));
    }

    [Fact]
    public async Task Interface_that_appears_during_the_reading_is_not_missed()
    {
        _imds.Override = request =>
        {
            if (request.Path.EndsWith($"{Second}/interface-id", StringComparison.Ordinal))
                Add(Third, "eni-3", device: 2, "10.0.0.30");
            return Task.FromResult<Reply?>(null);
        };

        Assert.Equal(["eni-1", "eni-2", "eni-3"], (await _interfaces.ReadAllAsync(FakeImds.Node, default)).Select(item => item.Id.Value));
    }

    [Fact]
    public async Task Interface_that_is_never_readable_fails_the_reading()
    {
        _imds.Values.TryRemove($"meta-data/network/interfaces/macs/{Second}/interface-id", out _);

        var failure = await Assert.ThrowsAsync<CloudException>(() => _interfaces.ReadAllAsync(FakeImds.Node, default));

        Assert.Equal((CloudErrorKind.Transient, "MetadataChanging"), (failure.Kind, failure.Code));
        Assert.Equal(["eni-1"], (await _interfaces.ReadHintsAsync(FakeImds.Node, default)).Select(hint => hint.Id.Value));
    }

    [Theory]
    [InlineData("interface-id", "i-2")]
    [InlineData("local-ipv4s", "10.0.0.20\nten")]
    [InlineData("ipv4-prefix", "10.0.0.32")]
    [InlineData("device-number", "first")]
    [InlineData("subnet-id", "net-1")]
    [InlineData("subnet-ipv4-cidr-block", "")]
    public async Task Malformed_value_is_reported_with_its_key(string key, string value)
    {
        _imds.SetInterface(Second, key, value);

        Assert.Equal(
            "MetadataMalformed",
            (await Assert.ThrowsAsync<CloudException>(() => _interfaces.ReadAllAsync(FakeImds.Node, default))).Code
        );
    }

    [Theory]
    [InlineData("../../user-data")]
    [InlineData("02:00:00:00:00")]
    public async Task List_of_other_entries_than_MACs_is_rejected(string listed)
    {
        _imds.Set("network/interfaces/macs/", $"{FakeImds.Mac}/\n{listed}/");

        var failure = await Assert.ThrowsAsync<CloudException>(() => _interfaces.ReadHintsAsync(FakeImds.Node, default));

        Assert.Equal("MetadataMalformed", failure.Code);
        Assert.DoesNotContain(_imds.Requests, request => request.Path.Contains("user-data", StringComparison.Ordinal));
    }

    [Fact]
    public async Task More_interfaces_than_any_node_has_are_rejected()
    {
        _imds.Set("network/interfaces/macs/", string.Join('\n', Enumerable.Range(0, 129).Select(number => $"02:00:00:00:00:{number:x2}/")));

        Assert.Contains(
            "at most 128 interfaces",
            (await Assert.ThrowsAsync<CloudException>(() => _interfaces.ReadHintsAsync(FakeImds.Node, default))).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Whole_reading_has_one_deadline()
    {
        using var patient = new ImdsClient(
            new ImdsOptions { Endpoint = _imds.Url, RequestTimeout = TimeSpan.FromMinutes(5) },
            _time,
            new Random(1),
            onAttempt: _ => { }
        );
        var never = new TaskCompletionSource<Reply?>();
        var asked = new TaskCompletionSource();
        _imds.Override = request =>
        {
            if (!request.Path.EndsWith($"{Second}/local-ipv4s", StringComparison.Ordinal))
                return Task.FromResult<Reply?>(null);
            asked.TrySetResult();
            return never.Task;
        };

        var reading = new InterfaceMetadata(patient, _time).ReadHintsAsync(FakeImds.Node, default);
        await asked.Task.WaitAsync(Eventually.DefaultDeadline);
        _time.Advance(InterfaceMetadata.Deadline);

        var failure = await Assert.ThrowsAsync<CloudException>(() => reading.WaitAsync(Eventually.DefaultDeadline));
        never.SetResult(null);
        Assert.Equal((CloudErrorKind.Transient, "MetadataSlow"), (failure.Kind, failure.Code));
    }

    [Fact]
    public async Task Cancellation_is_no_failure_of_the_metadata()
    {
        using var cancellation = new CancellationTokenSource();
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _interfaces.ReadHintsAsync(FakeImds.Node, cancellation.Token));
    }

    private void Add(string mac, string id, int device, string? addresses)
    {
        _imds.SetInterface(mac, "interface-id", id);
        _imds.SetInterface(mac, "device-number", device.ToString());
        _imds.SetInterface(mac, "subnet-id", "subnet-1");
        _imds.SetInterface(mac, "subnet-ipv4-cidr-block", "10.0.0.0/24");
        _imds.SetInterface(mac, "mac", mac);
        if (addresses is not null)
            _imds.SetInterface(mac, "local-ipv4s", addresses);
    }

    /// <summary>Removes the second interface when a key of it (empty: its list of keys) is requested.</summary>
    private void VanishWhenRequested(string key, int times) =>
        _imds.Override = request =>
        {
            if (times > 0 && request.Path.EndsWith($"{Second}/{key}", StringComparison.Ordinal))
            {
                times--;
                _imds.RemoveInterface(Second);
            }

            return Task.FromResult<Reply?>(null);
        };
}
