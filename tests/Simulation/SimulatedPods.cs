// SPDX-License-Identifier: Apache-2.0
using System.Net;
using VpcCni.Simulation.Tests.Checker;

namespace VpcCni.Simulation.Tests;

/// <summary>
/// The node's kubelet, runtime and plugin: pods that arrive, alone or in bursts, are configured, run and end, with all the failures between
/// them and the daemon.
/// </summary>
internal sealed class SimulatedPods(Scenario scenario, SimulatedNode node)
{
    private readonly Random _random = Scenario.Stream(scenario.Seed, "pods");
    private readonly Random _notes = Scenario.Stream(scenario.Seed, "missed DELs");
    private readonly Random _wiring = Scenario.Stream(scenario.Seed, "wiring");
    private readonly List<Task> _tasks = [];
    private readonly HashSet<string> _waiting = new(StringComparer.Ordinal);
    private int _pods;
    private int _containers;

    /// <summary>Number of pods that exist now, with or without an address.</summary>
    public int Count { get; private set; }

    /// <summary>Number of pods without an address that try to get one.</summary>
    public int Waiting => _waiting.Count;

    public int Started => _pods;

    /// <summary>When set, pods neither arrive nor end.</summary>
    public bool IsCalm { get; set; }

    /// <summary>An error of the simulation itself.</summary>
    public Exception? Error => _tasks.FirstOrDefault(task => task.IsFaulted)?.Exception;

    public void Begin() => _tasks.Add(ArriveAsync());

    private async Task ArriveAsync()
    {
        while (!IsCalm)
        {
            await PauseAsync(Exponential(scenario.MeanArrival));
            if (IsCalm)
                return;
            var arriving = _random.NextDouble() < scenario.BurstShare ? _random.Next(2, 41) : 1;
            for (var pod = 0; pod < arriving && Count < scenario.PodsAtMost; pod++)
            {
                Count++;
                _tasks.Add(LiveAsync($"p{++_pods}"));
            }
        }
    }

    private async Task LiveAsync(string name)
    {
        var endsAt = node.Time.GetUtcNow() + Exponential(scenario.MeanLifetime);
        while (true)
        {
            _waiting.Add(name);
            var sandbox = NewSandbox(name);
            var addresses = await SetUpAsync(sandbox);
            if (addresses is not null)
            {
                _waiting.Remove(name);
                await StayAsync(sandbox, endsAt);
                await TearDownAsync(sandbox, addresses);
                break;
            }

            await TearDownAsync(sandbox, addresses: null);
            if (!IsCalm && node.Time.GetUtcNow() > endsAt)
                break;
            await PauseAsync(TimeSpan.FromSeconds(0.5 + (_random.NextDouble() * 5)));
        }

        _waiting.Remove(name);
        Count--;
    }

    private PodRecord NewSandbox(string name)
    {
        var sandbox = new PodRecord("aws-cni", $"{name}-{++_containers}", "default", name, node.Time.GetUtcNow());
        node.Kernel.Namespaces[sandbox.Netns] = null;
        return sandbox;
    }

    /// <summary>
    /// Sends ADDs, with retries for the same sandbox, and configures the pod. Null when the runtime gives the sandbox up.
    /// </summary>
    private async Task<IReadOnlyList<IPAddress>?> SetUpAsync(PodRecord sandbox)
    {
        for (var attempt = 1; attempt <= 4; attempt++)
        {
            var timeout =
                !IsCalm && _random.NextDouble() < scenario.ClientLeaves
                    ? TimeSpan.FromSeconds(_random.NextDouble() * 3)
                    : scenario.AddWait + TimeSpan.FromSeconds(25);
            if (!IsCalm && _random.NextDouble() < scenario.DuplicateAdds)
                _tasks.Add(RepeatAddAsync(sandbox, TimeSpan.FromSeconds(_random.NextDouble())));
            var reply = await node.AddAsync(sandbox, timeout);
            if (reply is AddReply.Assigned { Addresses: var addresses, Egress: var egress })
            {
                await PauseAsync(scenario.PluginDelay * _random.NextDouble());
                if (!IsCalm && _random.NextDouble() < scenario.PluginFails)
                {
                    node.Trace.Add($"the plugin fails to configure {sandbox}");
                    return null;
                }

                // The plugin configures the addresses that it received, by whichever attempt.
                if (sandbox.IsAssigned)
                    addresses = sandbox.Addresses;
                var link = node.Plugin.CreateLink(ModelPlugin.LinkOf(sandbox.PodNamespace, sandbox.PodName), sandbox.Netns);
                await PauseAsync(Moment());
                node.Plugin.Wire(link, addresses, egress);
                sandbox.WiredLink = link;
                return addresses;
            }

            if (_random.Next(2) == 0)
                return null;
            await PauseAsync(TimeSpan.FromSeconds(_random.NextDouble() * 2));
        }

        return null;
    }

    /// <summary>Repeats the ADD, concurrently with the first one or long after it.</summary>
    private async Task RepeatAddAsync(PodRecord sandbox, TimeSpan delay)
    {
        await PauseAsync(delay);
        if (!sandbox.Ended)
            await node.AddAsync(sandbox, TimeSpan.FromSeconds(30));
    }

    private async Task StayAsync(PodRecord sandbox, DateTimeOffset endsAt)
    {
        while (IsCalm || node.Time.GetUtcNow() < endsAt)
        {
            await PauseAsync(TimeSpan.FromSeconds(2 + (_random.NextDouble() * 8)));
            if (!IsCalm && _random.NextDouble() < scenario.DuplicateAdds / 4)
                _tasks.Add(RepeatAddAsync(sandbox, TimeSpan.Zero));
        }
    }

    /// <summary>
    /// Ends a sandbox. The plugin takes the addresses off what it can prove to be the sandbox's, releases them, and leaves the link to the
    /// daemon; without proof it has to wait for the daemon's answer. When the DEL is lost, the runtime has removed the namespace, and the
    /// link with it, and rules remain.
    /// </summary>
    private async Task TearDownAsync(PodRecord sandbox, IReadOnlyList<IPAddress>? addresses)
    {
        var lost = addresses is not null && !IsCalm && _random.NextDouble() < scenario.LostDeletes;
        var hasProof = lost || _random.Next(3) == 0;
        if (hasProof)
            await PauseAsync(scenario.PluginDelay * _random.NextDouble() / 4);
        var link = sandbox.WiredLink;
        sandbox.WiredLink = null;
        if (lost)
        {
            node.Trace.Add($"the DEL of {sandbox} is lost");
            if (link is { } gone)
                node.Kernel.RemoveLink(KernelActor.Kernel, gone);
            node.Kernel.Namespaces.Remove(sandbox.Netns);
            node.Checker.End(sandbox);
            return;
        }

        node.Checker.End(sandbox);
        if (hasProof)
            await UnwireAsync(sandbox, link, addresses);
        var answered = false;
        for (var attempt = 1; attempt <= 5 && !answered; attempt++)
        {
            answered = await node.DeleteAsync(sandbox, TimeSpan.FromSeconds(30));
            // With a note the plugin is done, and the runtime does not repeat the DEL.
            if (!answered && scenario.Notes is not null)
                break;
            if (!answered)
                await PauseAsync(TimeSpan.FromSeconds(1 + (_random.NextDouble() * 4)));
        }

        if (!answered && scenario.Notes is { } plan)
        {
            await LeaveNoteAsync(sandbox, plan, link, hasProof, addresses);
            return;
        }

        if (_random.NextDouble() < scenario.RepeatedDeletes)
            await node.DeleteAsync(sandbox, TimeSpan.FromSeconds(30));
        if (!hasProof)
        {
            await PauseAsync(scenario.PluginDelay * _random.NextDouble() / 4);
            await UnwireAsync(sandbox, link, addresses);
        }

        await DeleteLinkAsync(sandbox, link);
    }

    /// <summary>Takes the addresses off the sandbox's link. Its namespace stays until the link is deleted.</summary>
    private async Task UnwireAsync(PodRecord sandbox, int? link, IReadOnlyList<IPAddress>? addresses)
    {
        await PauseAsync(Moment());
        if (link is { } own)
            node.Plugin.Unwire(own, addresses ?? []);
    }

    private async Task DeleteLinkAsync(PodRecord sandbox, int? link)
    {
        await PauseAsync(Moment());
        if (link is { } own)
            node.Kernel.RemoveLink(KernelActor.Plugin, own);
        node.Kernel.Namespaces.Remove(sandbox.Netns);
    }

    /// <summary>Ends a DEL that the daemon does not answer, and possibly adds the sandbox again.</summary>
    private async Task LeaveNoteAsync(PodRecord sandbox, NotePlan plan, int? link, bool isUnwired, IReadOnlyList<IPAddress>? addresses)
    {
        if (!isUnwired)
            await UnwireAsync(sandbox, link, addresses);
        await DeleteLinkAsync(sandbox, link);
        // A process takes at least a moment: no DEL comes at the very time of an ADD.
        await PauseAsync(TimeSpan.FromMilliseconds(1));
        var note = node.NoteOf(sandbox);
        node.DeletedUnanswered(sandbox);
        var late = !IsCalm && _notes.NextDouble() < plan.Late ? TimeSpan.FromSeconds(_notes.NextDouble() * 10) : TimeSpan.Zero;
        var again = !IsCalm && _notes.NextDouble() < plan.AddsAgain;
        if (!IsCalm && _notes.NextDouble() < plan.Strange)
            node.LeaveStrangeNotes();
        // A plugin that the runtime gave up continues by itself.
        if (late == TimeSpan.Zero || !again)
            node.LeaveNote(sandbox, note);
        else
            node.Time.After(late, () => node.LeaveNote(sandbox, note));
        if (again)
            await AddAgainAsync(sandbox);
    }

    /// <summary>Adds a deleted sandbox again, which no runtime is known to do but the specification permits.</summary>
    private async Task AddAgainAsync(PodRecord sandbox)
    {
        await PauseAsync(TimeSpan.FromSeconds(_notes.NextDouble() * 5));
        // Keeps its age: it may keep its address, wherever new ones come from now.
        var again = new PodRecord(sandbox.Network, sandbox.Container, sandbox.PodNamespace, sandbox.PodName, sandbox.CreatedAt);
        node.Kernel.Namespaces[again.Netns] = null;
        node.Trace.Add($"{again} is added again");
        var addresses = await SetUpAsync(again);
        if (addresses is not null)
        {
            _waiting.Remove(again.PodName);
            await StayAsync(again, node.Time.GetUtcNow() + Exponential(scenario.MeanLifetime));
        }

        await TearDownAsync(again, addresses);
    }

    /// <summary>From one of the plugin's requests to the next: mostly much less than the reconciler waits for confirmation.</summary>
    private TimeSpan Moment() => TimeSpan.FromMilliseconds(_wiring.Next(10) == 0 ? _wiring.Next(200) : _wiring.Next(1, 15));

    private Task PauseAsync(TimeSpan pause) => Task.Delay(pause, node.Time);

    private TimeSpan Exponential(TimeSpan mean) => Scenario.Exponential(_random, mean) is var time && time < mean * 6 ? time : mean * 6;
}
