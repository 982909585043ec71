// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.AzureModel;

/// <summary>Group of a method, which selects its rate limit.</summary>
public enum AzureCallKind
{
    Read,
    Write,
}

/// <summary>A fault to inject into calls of a method.</summary>
public sealed record AzureFaultRule
{
    /// <summary>Matches every method.</summary>
    public const string AllMethods = "*";

    public required string Method { get; init; }
    public required string Code { get; init; }
    public required string Message { get; init; }

    /// <summary>Number of calls that it affects; null for no limit.</summary>
    public int? Times { get; init; } = 1;

    /// <summary>Whether the call takes effect, and the client gets the error instead of the result.</summary>
    public bool AfterEffect { get; init; }

    /// <summary>Whether the call succeeds, and the operation that it starts fails.</summary>
    public bool FailsOperation { get; init; }
}

/// <summary>The armed faults.</summary>
public sealed class AzureFaultInjection
{
    /// <summary>Maximum number of rules, which only a runaway script exceeds.</summary>
    private const int MaxRules = 1_000;

    private readonly List<(AzureFaultRule Rule, int? Left)> _rules = [];

    internal AzureFaultInjection() { }

    /// <summary>The armed rules, with the number of calls that they still affect.</summary>
    public IReadOnlyList<AzureFaultRule> Rules => [.. _rules.Select(armed => armed.Rule with { Times = armed.Left })];

    /// <exception cref="ArgumentException">The rule can never apply.</exception>
    /// <exception cref="InvalidOperationException">Too many rules are armed.</exception>
    public void Add(AzureFaultRule rule)
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
    internal AzureFaultRule? Next(string method, bool failsOperation, bool afterEffect)
    {
        var index = _rules.FindIndex(armed =>
            armed.Rule.FailsOperation == failsOperation
            && armed.Rule.AfterEffect == afterEffect
            && (armed.Rule.Method == AzureFaultRule.AllMethods || armed.Rule.Method == method)
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

/// <summary>Latencies of a world. They can be changed at any time.</summary>
public sealed class AzureTiming
{
    /// <summary>Maximum lag of the metadata.</summary>
    public static readonly TimeSpan MaxLag = TimeSpan.FromMinutes(10);

    private TimeSpan _metadataLag;

    /// <summary>How long an operation takes; zero by default. It takes effect at its end.</summary>
    public TimeSpan Operation { get; set; }

    /// <summary>How long clients are told to wait between polls. Azure's network resources say 10 s.</summary>
    public TimeSpan RetryAfter { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Age of the interfaces that the metadata service returns.</summary>
    public TimeSpan MetadataLag
    {
        get => _metadataLag;
        set =>
            _metadataLag =
                value >= TimeSpan.Zero && value <= MaxLag
                    ? value
                    : throw new ArgumentOutOfRangeException(nameof(value), value, $"expected a lag between zero and {MaxLag}");
    }
}

/// <summary>Options of a world, which do not change.</summary>
public sealed record AzureWorldOptions
{
    public string Subscription { get; init; } = "00000000-0000-4000-8000-000000000001";
    public string ResourceGroup { get; init; } = "vpc-lab";
    public string Location { get; init; } = "westeurope";

    /// <summary>Seed of ids, tags and MAC addresses.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// Maximum number of IP configurations of an interface
    /// (https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#networking-limits).
    /// </summary>
    public int ConfigurationsPerInterface { get; init; } = 256;

    /// <summary>Maximum number of routes of a table (the same page).</summary>
    public int RoutesPerTable { get; init; } = 400;

    /// <summary>Whether the subscription has the preview of blocks of 16 addresses.</summary>
    public bool HasPrefixes { get; init; } = true;

    /// <summary>Number of calls that the log keeps; its counters count all calls.</summary>
    public int CallLogCapacity { get; init; } = 10_000;
}
