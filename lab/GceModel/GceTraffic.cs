// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.GceModel;

/// <summary>Group of a method, which selects its rate limit (https://cloud.google.com/compute/api-quota).</summary>
public enum GceCallKind
{
    Read,
    Mutation,

    /// <summary>Reads of operations.</summary>
    OperationRead,
}

/// <summary>A fault to inject into calls of a method.</summary>
public sealed record GceFaultRule
{
    /// <summary>Matches every method.</summary>
    public const string AllMethods = "*";

    public required string Method { get; init; }

    /// <summary>
    /// The reason of an error response (<see cref="GceErrorCodes.Reasons"/>), or the code of a failed operation
    /// (<see cref="GceErrorCodes.OperationCodes"/>): then the call succeeds, and the operation that it starts fails.
    /// </summary>
    public required string Code { get; init; }
    public required string Message { get; init; }

    /// <summary>Number of calls that it affects; null for no limit.</summary>
    public int? Times { get; init; } = 1;

    /// <summary>Whether the call takes effect, and the client gets the error instead of the result.</summary>
    public bool AfterEffect { get; init; }

    /// <summary>Whether it fails operations instead of calls: the code is in capitals.</summary>
    public bool FailsOperation => Code.Length > 0 && char.IsAsciiLetterUpper(Code[0]);
}

/// <summary>The armed faults.</summary>
public sealed class GceFaultInjection
{
    /// <summary>Maximum number of rules, which only a runaway script exceeds.</summary>
    private const int MaxRules = 1_000;

    private readonly List<(GceFaultRule Rule, int? Left)> _rules = [];

    internal GceFaultInjection() { }

    /// <summary>The armed rules, with the number of calls that they still affect.</summary>
    public IReadOnlyList<GceFaultRule> Rules => [.. _rules.Select(armed => armed.Rule with { Times = armed.Left })];

    /// <exception cref="ArgumentException">The rule can never apply.</exception>
    /// <exception cref="InvalidOperationException">Too many rules are armed.</exception>
    public void Add(GceFaultRule rule)
    {
        if (_rules.Count >= MaxRules)
            throw new InvalidOperationException($"{MaxRules} fault rules are already armed; clear some");
        if (rule.Times < 1)
            throw new ArgumentException($"number of calls {rule.Times}: expected 1 or more", nameof(rule));
        if (rule.FailsOperation && rule.AfterEffect)
            throw new ArgumentException($"{rule.Code} is the code of a failed operation, which has no effect", nameof(rule));
        _rules.Add((rule, rule.Times));
    }

    /// <summary>Disarms the rules of one method, or all of them.</summary>
    public void Clear(string? method = null) => _rules.RemoveAll(armed => method is null || armed.Rule.Method == method);

    /// <summary>Returns and counts the next rule that applies to a call; null for none.</summary>
    internal GceFaultRule? Next(string method, bool failsOperation, bool afterEffect)
    {
        for (var index = 0; index < _rules.Count; index++)
        {
            var (rule, left) = _rules[index];
            if (rule.FailsOperation != failsOperation || rule.AfterEffect != afterEffect)
                continue;
            if (rule.Method != GceFaultRule.AllMethods && rule.Method != method)
                continue;
            if (left == 1)
                _rules.RemoveAt(index);
            else if (left is { } many)
                _rules[index] = (rule, many - 1);
            return rule;
        }

        return null;
    }
}
