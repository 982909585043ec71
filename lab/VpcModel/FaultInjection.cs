// SPDX-License-Identifier: Apache-2.0
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>When an injected fault applies to a call.</summary>
public enum FaultMoment
{
    /// <summary>Before the call takes effect.</summary>
    BeforeEffect,

    /// <summary>After the call has taken effect, so that the client does not learn its result.</summary>
    AfterEffect,
}

/// <summary>A fault to inject into calls.</summary>
public sealed record FaultRule
{
    /// <summary>The operation, for example <c>AttachNetworkInterface</c>; <c>*</c> for every operation.</summary>
    public required string Operation { get; init; }
    public string Code { get; init; } = "InternalError";
    public string Message { get; init; } = "An internal error has occurred";
    public HttpStatusCode Status { get; init; } = HttpStatusCode.InternalServerError;
    public FaultMoment Moment { get; init; }

    /// <summary>Number of calls that it affects; null for no limit.</summary>
    public int? Times { get; init; } = 1;

    /// <summary>Probability that it affects a matching call, 0 to 1.</summary>
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
/// Faults to inject: rules by operation, and attached interfaces that the instance metadata leaves out.
/// </summary>
public sealed class FaultInjection
{
    /// <summary>Maximum number of rules, which only a runaway script exceeds.</summary>
    private const int MaxRules = 1_000;

    private readonly List<Armed> _rules = [];
    private readonly HashSet<EniId> _hidden = [];
    private readonly Random _random;

    internal FaultInjection(Random random) => _random = random;

    /// <summary>The armed rules, with the number of calls that they still affect.</summary>
    public IReadOnlyList<FaultRule> Rules => [.. _rules.Select(armed => armed.Rule with { Times = armed.Left })];

    /// <summary>
    /// Interfaces that the instance metadata leaves out, as in aws-node issue 1967, in which one is missing after a reboot.
    /// </summary>
    public IReadOnlySet<EniId> HiddenFromMetadata => _hidden;

    /// <summary>Arms a rule.</summary>
    /// <exception cref="ArgumentException">The rule can never apply.</exception>
    /// <exception cref="InvalidOperationException">Too many rules are armed.</exception>
    public void Add(FaultRule rule)
    {
        if (_rules.Count >= MaxRules)
            throw new InvalidOperationException($"{MaxRules} fault rules are already armed; clear some");
        if (rule.Probability is not (>= 0 and <= 1))
            throw new ArgumentException($"probability {rule.Probability}: expected 0 to 1", nameof(rule));
        if (rule.Times < 1)
            throw new ArgumentException($"number of calls {rule.Times}: expected 1 or more", nameof(rule));
        _rules.Add(new Armed(rule));
    }

    /// <summary>Disarms the rules of one operation, or all of them.</summary>
    public void Clear(string? operation = null) =>
        _rules.RemoveAll(armed => operation is null || string.Equals(armed.Rule.Operation, operation, StringComparison.Ordinal));

    public void HideFromMetadata(EniId id) => _hidden.Add(id);

    public void ShowInMetadata(EniId id) => _hidden.Remove(id);

    /// <summary>Returns the fault to throw for a call at a moment, and counts it; null for none.</summary>
    internal Ec2FaultException? NextFault(string operation, FaultMoment moment)
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
