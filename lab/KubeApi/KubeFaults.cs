// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;

namespace VpcCni.Lab.KubeApi;

/// <summary>What goes wrong with a request.</summary>
internal enum KubeFaultKind
{
    /// <summary>A Status with the fault's code, and Retry-After if it has one.</summary>
    Status,

    /// <summary>200 with what is no JSON; a watch: an event that is none, then the end.</summary>
    Garbage,

    /// <summary>The right answer, cut in half; a watch: half an event, then the end.</summary>
    Truncated,

    /// <summary>The connection breaks, and nothing has happened.</summary>
    Broken,

    /// <summary>What was asked happens, and the connection breaks before the answer.</summary>
    LostAnswer,

    /// <summary>The answer comes late.</summary>
    Slow,

    /// <summary>There never is an answer; a watch begins and stays silent, without events and bookmarks.</summary>
    Stalled,
}

/// <summary>A fault that is armed.</summary>
internal sealed record KubeFault
{
    public required KubeFaultKind Kind { get; init; }

    /// <summary>A verb of RBAC, or <c>*</c>.</summary>
    public string Verb { get; init; } = "*";

    /// <summary>
    /// A plural name, with <c>/status</c> for that subresource; or <c>*</c> for every request, those of discovery included.
    /// </summary>
    public string Resource { get; init; } = "*";

    /// <summary>How often it strikes; null for ever.</summary>
    public int? Times { get; init; } = 1;

    /// <summary>Of <see cref="KubeFaultKind.Status"/>.</summary>
    public int Code { get; init; } = 500;

    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Of <see cref="KubeFaultKind.Slow"/>.</summary>
    public TimeSpan Delay { get; init; }

    public bool Strikes(KubeCall call) =>
        (Verb == "*" || Verb == call.Verb)
        && (Resource == "*" || Resource == call.Resource || call.Resource.StartsWith(Resource + ".", StringComparison.Ordinal));
}

/// <summary>Faults that are armed, in the order in which they were; the first that fits strikes. Safe for several threads.</summary>
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

    /// <exception cref="ArgumentException">The fault can never strike, or too many are armed.</exception>
    public void Arm(KubeFault fault)
    {
        if (fault.Times is <= 0)
            throw new ArgumentException("a fault strikes once at least");
        if (fault.Kind == KubeFaultKind.Status && fault.Code is < 400 or > 599)
            throw new ArgumentException($"{fault.Code} is no status of a failure: expected 400 to 599");
        if (fault.Delay < TimeSpan.Zero || fault.Delay > TimeSpan.FromMinutes(10))
            throw new ArgumentException("a delay is 0 to 10 minutes");
        lock (_lock)
        {
            if (_armed.Count >= MaxArmed)
                throw new ArgumentException($"{MaxArmed} faults are armed already");
            _armed = _armed.Add(fault);
        }
    }

    public void Clear()
    {
        lock (_lock)
            _armed = [];
    }

    /// <summary>The fault that strikes this call, counted; null for none.</summary>
    public KubeFault? Take(KubeCall call)
    {
        lock (_lock)
        {
            var index = _armed.FindIndex(fault => fault.Strikes(call));
            if (index < 0)
                return null;
            var fault = _armed[index];
            if (fault.Times is { } left)
                _armed = left == 1 ? _armed.RemoveAt(index) : _armed.SetItem(index, fault with { Times = left - 1 });
            return fault;
        }
    }
}
