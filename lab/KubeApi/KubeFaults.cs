// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;

namespace VpcCni.Lab.KubeApi;

/// <summary>Kinds of faults of requests.</summary>
internal enum KubeFaultKind
{
    /// <summary>Returns a Status with the fault's code, and Retry-After if it has one.</summary>
    Status,

    /// <summary>Returns 200 with a body that is not JSON; a watch sends an invalid event and ends.</summary>
    Garbage,

    /// <summary>Returns the first half of the response; a watch sends half an event and ends.</summary>
    Truncated,

    /// <summary>Closes the connection before the request takes effect.</summary>
    Broken,

    /// <summary>Lets the request take effect and closes the connection before the response.</summary>
    LostAnswer,

    /// <summary>Delays the response.</summary>
    Slow,

    /// <summary>Never responds; a watch starts and sends neither events nor bookmarks.</summary>
    Stalled,
}

/// <summary>A fault to inject into requests.</summary>
internal sealed record KubeFault
{
    public required KubeFaultKind Kind { get; init; }

    /// <summary>An RBAC verb, or <c>*</c> for all.</summary>
    public string Verb { get; init; } = "*";

    /// <summary>
    /// A plural resource name, with <c>/status</c> for that subresource, or <c>*</c> for every request, including discovery.
    /// </summary>
    public string Resource { get; init; } = "*";

    /// <summary>Number of requests that it affects; null for no limit.</summary>
    public int? Times { get; init; } = 1;

    /// <summary>HTTP status, for <see cref="KubeFaultKind.Status"/>.</summary>
    public int Code { get; init; } = 500;

    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Delay, for <see cref="KubeFaultKind.Slow"/>.</summary>
    public TimeSpan Delay { get; init; }

    public bool Matches(KubeCall call) =>
        (Verb == "*" || Verb == call.Verb)
        && (Resource == "*" || Resource == call.Resource || call.Resource.StartsWith(Resource + ".", StringComparison.Ordinal));
}

/// <summary>The armed faults, in the order in which they were armed. The first that matches a request applies. Thread-safe.</summary>
internal sealed class KubeFaults
{
    private const int MaxArmed = 100;

    private readonly Lock _lock = new();
    private ImmutableList<KubeFault> _armed = [];

    public IReadOnlyList<KubeFault> Armed
    {
        get
        {
            lock (_lock)
                return _armed;
        }
    }

    /// <summary>Arms a fault.</summary>
    /// <exception cref="ArgumentException">The fault is invalid, or too many are armed.</exception>
    public void Arm(KubeFault fault)
    {
        if (fault.Times is <= 0)
            throw new ArgumentException($"number of requests {fault.Times}: expected 1 or more");
        if (fault.Kind == KubeFaultKind.Status && fault.Code is < 400 or > 599)
            throw new ArgumentException($"{fault.Code} is not an error status: expected 400 to 599");
        if (fault.Delay < TimeSpan.Zero || fault.Delay > TimeSpan.FromMinutes(10))
            throw new ArgumentException($"delay {fault.Delay}: expected 0 to 10 minutes");
        lock (_lock)
        {
            if (_armed.Count >= MaxArmed)
                throw new ArgumentException($"{MaxArmed} faults are already armed; clear some");
            _armed = _armed.Add(fault);
        }
    }

    public void Clear()
    {
        lock (_lock)
            _armed = [];
    }

    /// <summary>Returns the fault that applies to a call, and counts it; null for none.</summary>
    public KubeFault? TakeMatching(KubeCall call)
    {
        lock (_lock)
        {
            var index = _armed.FindIndex(fault => fault.Matches(call));
            if (index < 0)
                return null;
            var fault = _armed[index];
            if (fault.Times is { } left)
                _armed = left == 1 ? _armed.RemoveAt(index) : _armed.SetItem(index, fault with { Times = left - 1 });
            return fault;
        }
    }
}
