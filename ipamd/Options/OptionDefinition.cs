// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>What reads a variable.</summary>
[Flags]
internal enum OptionReaders
{
    /// <summary><c>ipamd run</c>.</summary>
    Daemon = 1,

    /// <summary><c>ipamd init</c>.</summary>
    Init = 2,

    /// <summary><c>ipamd install</c> and <c>uninstall</c>: written into the plugin's configuration, or says where that is.</summary>
    Install = 4,
}

/// <summary>
/// One variable: what it means and what it may be. Messages about values and the reference in docs/configuration.md are made from it, so
/// that neither can differ from what is really read.
/// </summary>
/// <param name="Name">Of the environment variable; case matters.</param>
internal abstract record OptionDefinition(string Name)
{
    /// <summary>Sentences without the full stop of the last one.</summary>
    public required string Meaning { get; init; }

    /// <summary>
    /// How it differs from the variable of the same name of the AWS VPC CNI; null when it does not, or when that has none.
    /// </summary>
    public string? Deviation { get; init; }

    /// <summary>Of a number; empty when it has none.</summary>
    public string Unit { get; init; } = "";

    public OptionReaders ReadBy { get; init; } = OptionReaders.Daemon;

    /// <summary>
    /// What happens, with a warning, when the value is not allowed. Set where the AWS VPC CNI starts with such a value and neither a pod's
    /// address nor the path of its packets depends on it. Null: the value forbids the start.
    /// </summary>
    public string? Otherwise { get; init; }

    /// <summary>Ours, not the AWS VPC CNI's.</summary>
    public bool IsOurs => Name.StartsWith("VPCCNI_", StringComparison.Ordinal);

    /// <summary>As one would write it; empty when there is none.</summary>
    public abstract string Default { get; }

    /// <summary>Goes on after "expected".</summary>
    public abstract string Expected { get; }
}

/// <summary>True or false, in the spellings that the reference accepts.</summary>
internal sealed record FlagOption(string Name, bool Fallback) : OptionDefinition(Name)
{
    public override string Default => Fallback ? "true" : "false";

    public override string Expected => "true or false";
}

/// <summary>An integer within bounds, both of them allowed.</summary>
internal sealed record NumberOption(string Name, int? Fallback, int Minimum, int Maximum) : OptionDefinition(Name)
{
    /// <summary>What the default is when it is no constant.</summary>
    public string DefaultWords { get; init; } = "";

    public override string Default => Fallback?.ToString() ?? DefaultWords;

    public override string Expected => $"an integer from {Minimum} to {Maximum}";
}

/// <summary>One of some words.</summary>
internal sealed record ChoiceOption(string Name, string Fallback, params string[] Allowed) : OptionDefinition(Name)
{
    public override string Default => Fallback;

    public override string Expected => $"one of {string.Join(", ", Allowed)}";
}

/// <summary>An absolute path, or one of some words in its place.</summary>
internal sealed record PathOption(string Name, string Fallback, params string[] OrOneOf) : OptionDefinition(Name)
{
    public override string Default => Fallback;

    public override string Expected => OrOneOf.Length == 0 ? "an absolute path" : $"an absolute path, {string.Join(" or ", OrOneOf)}";
}

/// <summary>Text of a form of its own; the reader has a method for each form.</summary>
internal sealed record TextOption(string Name, string Default, string Expected) : OptionDefinition(Name)
{
    public override string Default { get; } = Default;

    public override string Expected { get; } = Expected;
}

/// <summary>A variable of the AWS VPC CNI that has no effect here.</summary>
/// <param name="Name">Of the variable.</param>
/// <param name="Why">What becomes of what it asks for.</param>
/// <param name="Harmless">Values that ask for nothing that is missing: no reason for a warning. None: any value.</param>
internal sealed record IgnoredOption(string Name, string Why, params string[] Harmless)
{
    public bool WarnsOf(string value) => Harmless.Length > 0 && !Harmless.Contains(value, StringComparer.OrdinalIgnoreCase);
}

/// <summary>Variables that belong together.</summary>
internal sealed record OptionGroup(string Title, IReadOnlyList<OptionDefinition> Options);
