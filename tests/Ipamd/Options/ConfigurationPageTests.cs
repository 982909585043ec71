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
    public void The_page_in_the_repository_is_what_the_table_says() =>
        GeneratedFile.Check("docs/configuration.md", ConfigurationPage.Render());

    [Fact]
    public void Every_variable_of_the_table_is_read_and_every_variable_that_is_read_is_in_the_table()
    {
        var environment = new AskedEnvironment();
        OptionBinder.Bind(environment);
        Assert.Equal(OptionTable.All.Select(option => option.Name).Order(StringComparer.Ordinal), environment.Asked);
    }

    [Fact]
    public void No_variable_is_there_twice()
    {
        string[] names = [.. OptionTable.All.Select(option => option.Name), .. OptionTable.Ignored.Select(option => option.Name)];
        Assert.Equal(names.Distinct(StringComparer.Ordinal), names);
    }

    /// <summary>The default that is documented is a value that may be written, and means the same as none.</summary>
    [Fact]
    public void Writing_every_default_out_changes_nothing()
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

    /// <summary>Lists compare by identity; those of the defaults are empty.</summary>
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

    /// <summary>Remembers what it was asked for.</summary>
    private sealed class AskedEnvironment : IReadOnlyDictionary<string, string>
    {
        public SortedSet<string> Asked { get; } = new(StringComparer.Ordinal);

        public IEnumerable<string> Keys => [];

        public IEnumerable<string> Values => [];

        public int Count => 0;

        public string this[string key] => throw new KeyNotFoundException(key);

        public bool ContainsKey(string key) => TryGetValue(key, out _);

        public bool TryGetValue(string key, [MaybeNullWhen(false)] out string value)
        {
            Asked.Add(key);
            value = null;
            return false;
        }

        public IEnumerator<KeyValuePair<string, string>> GetEnumerator() =>
            Enumerable.Empty<KeyValuePair<string, string>>().GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
