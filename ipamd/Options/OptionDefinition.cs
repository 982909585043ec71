// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>The commands that read a variable.</summary>
[Flags]
internal enum OptionReaders
{
    /// <summary><c>ipamd run</c>.</summary>
    Daemon = 1,

    /// <summary><c>ipamd init</c>.</summary>
    Init = 2,

    /// <summary>
    /// <c>ipamd install</c> and <c>ipamd uninstall</c>: the value goes into the plugin's configuration, or names its folder.
    /// </summary>
    Install = 4,
}

/// <summary>
/// Definition of one environment variable. Messages about its value and docs/configuration.md are generated from it, so neither can differ
/// from what the daemon reads.
/// </summary>
/// <param name="Name">Name of the environment variable; case-sensitive.</param>
internal abstract record OptionDefinition(string Name)
{
    /// <summary>Description for docs/configuration.md; the last sentence has no full stop.</summary>
    public required string Meaning { get; init; }

    /// <summary>Difference from the AWS VPC CNI's variable of the same name; null if there is none, or no such variable.</summary>
    public string? Deviation { get; init; }

    /// <summary>Unit of a number; may be empty.</summary>
    public string Unit { get; init; } = "";

    public OptionReaders ReadBy { get; init; } = OptionReaders.Daemon;

    /// <summary>
    /// What happens, with a warning, for an invalid value. Null: the value prevents the start. Set where the AWS VPC CNI starts with such a
    /// value, and neither a pod's address nor the path of its packets depends on it.
    /// </summary>
    public string? Otherwise { get; init; }

    /// <summary>Whether the AWS VPC CNI does not have this variable.</summary>
    public bool IsOurs => Name.StartsWith("VPCCNI_", StringComparison.Ordinal);

    /// <summary>The default as text; empty if there is none.</summary>
    public abstract string Default { get; }

    /// <summary>Description of valid values, for use after the word "expected".</summary>
    public abstract string Expected { get; }
}

/// <summary>A Boolean, in the spellings that the reference accepts.</summary>
internal sealed record FlagOption(string Name, bool Fallback) : OptionDefinition(Name)
{
    public override string Default => Fallback ? "true" : "false";

    public override string Expected => "true or false";
}

/// <summary>An integer within inclusive bounds.</summary>
internal sealed record NumberOption(string Name, int? Fallback, int Minimum, int Maximum) : OptionDefinition(Name)
{
    /// <summary>Description of a default that is no constant.</summary>
    public string DefaultText { get; init; } = "";

    public override string Default => Fallback?.ToString() ?? DefaultText;

    public override string Expected => $"an integer from {Minimum} to {Maximum}";
}

/// <summary>One of a set of words.</summary>
internal sealed record ChoiceOption(string Name, string Fallback, params string[] Allowed) : OptionDefinition(Name)
{
    public override string Default => Fallback;

    public override string Expected => $"one of {string.Join(", ", Allowed)}";
}

/// <summary>An absolute path, or one of a set of words.</summary>
internal sealed record PathOption(string Name, string Fallback, params string[] OrOneOf) : OptionDefinition(Name)
{
    public override string Default => Fallback;

    public override string Expected => OrOneOf.Length == 0 ? "an absolute path" : $"an absolute path, {string.Join(" or ", OrOneOf)}";
}

/// <summary>Free text; <see cref="OptionReader"/> has a method for each format.</summary>
internal sealed record TextOption(string Name, string Default, string Expected) : OptionDefinition(Name)
{
    public override string Default { get; } = Default;

    public override string Expected { get; } = Expected;
}

/// <summary>A variable of the AWS VPC CNI that has no effect here.</summary>
/// <param name="Name">Name of the environment variable.</param>
/// <param name="Why">Why it has no effect.</param>
/// <param name="NeedsNoWarning">
/// Values that need no warning, because the daemon behaves accordingly anyway. Empty: no value needs a warning.
/// </param>
internal sealed record IgnoredOption(string Name, string Why, params string[] NeedsNoWarning)
{
    public bool WarnsOf(string value) => NeedsNoWarning.Length > 0 && !NeedsNoWarning.Contains(value, StringComparer.OrdinalIgnoreCase);
}

/// <summary>A section of docs/configuration.md.</summary>
internal sealed record OptionGroup(string Title, IReadOnlyList<OptionDefinition> Options);
