// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using System.Diagnostics.CodeAnalysis;
using VpcCni.Ipamd.Options;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Options;

public sealed class ConfigurationPageTests
{
    [Fact]
    public void Page_in_the_repository_matches_the_table() => GeneratedFile.Check("docs/configuration.md", ConfigurationPage.Render());

    [Fact]
    public void Table_has_exactly_the_variables_that_are_read()
    {
        var environment = new RecordingEnvironment();
        OptionBinder.Bind(environment);
        Assert.Equal(OptionTable.All.Select(option => option.Name).Order(StringComparer.Ordinal), environment.NamesRead);
    }

    [Fact]
    public void Table_has_no_duplicate_variable()
    {
        string[] names = [.. OptionTable.All.Select(option => option.Name), .. OptionTable.Ignored.Select(option => option.Name)];
        Assert.Equal(names.Distinct(StringComparer.Ordinal), names);
    }

    /// <summary>A documented default is a valid value and has the same effect as no value.</summary>
    [Fact]
    public void Setting_every_variable_to_its_default_changes_nothing()
    {
        var written = OptionTable
            .All.Where(option => option is not NumberOption { Fallback: null })
            .ToDictionary(option => option.Name, option => option.Default);
        var bound = OptionBinder.Bind(written);
        Assert.Empty(bound.Problems);
        Assert.Empty(bound.Warnings);
        var defaults = OptionBinder.Bind(new Dictionary<string, string>()).Options;
        Assert.Equal(Plain(defaults), Plain(bound.Options));
    }

    /// <summary>Lists compare by identity, so each is replaced; those of the defaults are empty.</summary>
    private static IpamdOptions Plain(IpamdOptions options)
    {
        Assert.Empty(options.AdditionalTags);
        Assert.Empty(options.HostNetwork.ExcludedRanges);
        Assert.Empty(options.HostNetwork.ExternalServiceRanges);
        return options with
        {
            AdditionalTags = NoTags,
            HostNetwork = options.HostNetwork with { ExcludedRanges = NoRanges, ExternalServiceRanges = NoRanges },
        };
    }

    private static readonly System.Net.IPNetwork[] NoRanges = [];
    private static readonly Dictionary<string, string> NoTags = [];

    /// <summary>Records which variables are read.</summary>
    private sealed class RecordingEnvironment : IReadOnlyDictionary<string, string>
    {
        public SortedSet<string> NamesRead { get; } = new(StringComparer.Ordinal);

        public IEnumerable<string> Keys => [];

        public IEnumerable<string> Values => [];

        public int Count => 0;

        public string this[string key] => throw new KeyNotFoundException(key);

        public bool ContainsKey(string key) => TryGetValue(key, out _);

        public bool TryGetValue(string key, [MaybeNullWhen(false)] out string value)
        {
            NamesRead.Add(key);
            value = null;
            return false;
        }

        public IEnumerator<KeyValuePair<string, string>> GetEnumerator() =>
            Enumerable.Empty<KeyValuePair<string, string>>().GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
