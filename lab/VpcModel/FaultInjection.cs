// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>When an injected failure strikes.</summary>
public enum FaultMoment
{
    /// <summary>The call has no effect.</summary>
    BeforeEffect,

    /// <summary>The call takes effect and its answer is lost: what makes clients need idempotency.</summary>
    AfterEffect,
}

/// <summary>A failure to inject into calls.</summary>
public sealed record FaultRule
{
    /// <summary>E.g. <c>AttachNetworkInterface</c>; <c>*</c> for every operation.</summary>
    public required string Operation { get; init; }
    public string Code { get; init; } = "InternalError";
    public string Message { get; init; } = "An internal error has occurred";
    public HttpStatusCode Status { get; init; } = HttpStatusCode.InternalServerError;
    public FaultMoment Moment { get; init; }

    /// <summary>How often it strikes before it is used up; null for ever.</summary>
    public int? Times { get; init; } = 1;

    /// <summary>Of each matching call, 0 to 1.</summary>
    public double Probability { get; init; } = 1;

    public static FaultRule Throttle(string operation, int? times = 1) => From(operation, Ec2Faults.Throttled(), times);

    public static FaultRule Unauthorized(string operation) => From(operation, Ec2Faults.Unauthorized(operation), times: null);

    public static FaultRule From(string operation, Ec2FaultException fault, int? times = 1) =>
        new()
        {
            Operation = operation,
            Code = fault.Code,
            Message = fault.Message,
            Status = fault.Status,
            Times = times,
        };
}

/// <summary>
/// Failures to inject: rules by operation, and interfaces that the instance metadata does not show although they are attached.
/// </summary>
public sealed class FaultInjection
{
    /// <summary>More rules than this are a runaway script.</summary>
    private const int MaxRules = 1_000;

    private readonly List<Armed> _rules = [];
    private readonly HashSet<EniId> _hidden = [];
    private readonly Random _random;

    internal FaultInjection(Random random) => _random = random;

    public IReadOnlyList<FaultRule> Rules => [.. _rules.Select(armed => armed.Rule with { Times = armed.Left })];

    /// <summary>
    /// Interfaces that the instance metadata leaves out (aws-node issue 1967: an interface is missing there after a reboot).
    /// </summary>
    public IReadOnlySet<EniId> HiddenFromMetadata => _hidden;

    public void Add(FaultRule rule)
    {
        if (_rules.Count >= MaxRules)
            throw new InvalidOperationException($"{MaxRules} fault rules are armed already; clear some");
        if (rule.Probability is not (>= 0 and <= 1))
            throw new ArgumentException($"a probability is between 0 and 1, not {rule.Probability}", nameof(rule));
        if (rule.Times < 1)
            throw new ArgumentException($"a fault strikes at least once, not {rule.Times} times", nameof(rule));
        _rules.Add(new Armed(rule));
    }

    /// <summary>Disarms the rules of one operation, or all of them.</summary>
    public void Clear(string? operation = null) =>
        _rules.RemoveAll(armed => operation is null || string.Equals(armed.Rule.Operation, operation, StringComparison.Ordinal));

    public void HideFromMetadata(EniId id) => _hidden.Add(id);

    public void ShowInMetadata(EniId id) => _hidden.Remove(id);

    /// <summary>The failure that strikes this call at this moment, and uses it up.</summary>
    internal Ec2FaultException? Strike(string operation, FaultMoment moment)
    {
        foreach (var armed in _rules)
        {
            var rule = armed.Rule;
            if (rule.Moment != moment || rule.Operation is not "*" && !string.Equals(rule.Operation, operation, StringComparison.Ordinal))
                continue;
            if (rule.Probability < 1 && _random.NextDouble() >= rule.Probability)
                continue;
            if (armed.Left is { } left && (armed.Left = left - 1) == 0)
                _rules.Remove(armed);
            return new Ec2FaultException(rule.Code, rule.Message, rule.Status);
        }

        return null;
    }

    private sealed class Armed(FaultRule rule)
    {
        public FaultRule Rule { get; } = rule;
        public int? Left { get; set; } = rule.Times;
    }
}
