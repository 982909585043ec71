// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.ModelParts;

/// <summary>A fault to inject into calls of a method.</summary>
public sealed record MethodFault
{
    /// <summary>Matches every method.</summary>
    public const string AllMethods = "*";

    public required string Method { get; init; }

    /// <summary>The code of the error response, or of the failed operation.</summary>
    public required string Code { get; init; }
    public required string Message { get; init; }

    /// <summary>Number of calls that it affects; null for no limit.</summary>
    public int? Times { get; init; } = 1;

    /// <summary>Whether the call takes effect, and the client gets the error instead of the result.</summary>
    public bool AfterEffect { get; init; }

    /// <summary>Whether the call succeeds, and the operation that it starts fails.</summary>
    public bool FailsOperation { get; init; }
}

/// <summary>The armed faults. Not thread-safe.</summary>
public sealed class MethodFaults
{
    /// <summary>Maximum number of rules, which only a runaway script exceeds.</summary>
    private const int MaxRules = 1_000;

    private readonly List<(MethodFault Rule, int? Left)> _rules = [];

    /// <summary>The armed rules, with the number of calls that they still affect.</summary>
    public IReadOnlyList<MethodFault> Rules => [.. _rules.Select(armed => armed.Rule with { Times = armed.Left })];

    /// <exception cref="ArgumentException">The rule can never apply.</exception>
    /// <exception cref="InvalidOperationException">Too many rules are armed.</exception>
    public void Add(MethodFault rule)
    {
        if (_rules.Count >= MaxRules)
            throw new InvalidOperationException($"{MaxRules} fault rules are already armed; clear some");
        if (rule.Times < 1)
            throw new ArgumentException($"number of calls {rule.Times}: expected 1 or more", nameof(rule));
        if (rule is { FailsOperation: true, AfterEffect: true })
            throw new ArgumentException($"{rule.Code} of a failed operation comes without its effect", nameof(rule));
        _rules.Add((rule, rule.Times));
    }

    /// <summary>Disarms the rules of one method, or all of them.</summary>
    public void Clear(string? method = null) => _rules.RemoveAll(armed => method is null || armed.Rule.Method == method);

    /// <summary>Returns and counts the next rule that applies to a call; null for none.</summary>
    public MethodFault? Next(string method, bool failsOperation, bool afterEffect)
    {
        var index = _rules.FindIndex(armed =>
            armed.Rule.FailsOperation == failsOperation
            && armed.Rule.AfterEffect == afterEffect
            && (armed.Rule.Method == MethodFault.AllMethods || armed.Rule.Method == method)
        );
        if (index < 0)
            return null;
        var (rule, left) = _rules[index];
        if (left == 1)
            _rules.RemoveAt(index);
        else if (left is { } many)
            _rules[index] = (rule, many - 1);
        return rule;
    }
}
