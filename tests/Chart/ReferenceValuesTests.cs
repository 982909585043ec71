// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Nodes;
using VpcCni.Ipamd.Options;
using Xunit;

namespace VpcCni.Chart.Tests;

/// <summary>
/// Each key of the values of aws-vpc-cni v1.23.1 either changes the rendered objects or is listed in NOTES as without effect.
/// </summary>
public sealed class ReferenceValuesTests
{
    private static readonly Lazy<JsonObject> File = new(() =>
        RenderedChart.Parse(System.IO.File.ReadAllText(HelmRenderer.ValuesFile("of-aws-vpc-cni-1.23.1.yaml"))).Objects.Single()
    );

    private static readonly Lazy<(string Objects, string Notes)> Whole = new(() => (Objects(File.Value), Notes(File.Value)));

    /// <summary>Paths of all keys with a value; a list is one key.</summary>
    public static TheoryData<string> Keys => [.. Paths(File.Value, "")];

    [Fact]
    public void Whole_file_is_accepted_and_valid_for_the_daemon()
    {
        var chart = RenderedChart.Parse(Whole.Value.Objects);
        var bound = OptionBinder.Bind(RenderedChart.Environment(chart.Daemon));
        Assert.DoesNotContain(bound.Warnings, warning => warning.Contains("not known", StringComparison.Ordinal));
        // Kubernetes sets this variable in every container.
        Assert.All(bound.Problems, problem => Assert.Contains("KUBERNETES_SERVICE_HOST", problem, StringComparison.Ordinal));
        Assert.Equal(chart.Daemon["image"]!.ToJsonString(), chart.Init["image"]!.ToJsonString());
        Assert.DoesNotContain("mirror", Whole.Value.Objects, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Keys))]
    public void Key_has_an_effect_or_is_listed_as_without_effect(string path)
    {
        var (objects, notes) = Whole.Value;
        if (Objects(Without(path)) != objects || AnotherValueHasAnEffect(path))
            return;
        var keys = path.Split('.');
        var names = keys.Select((_, index) => string.Join('.', keys[..(index + 1)])).SelectMany(name => new[] { name, $"{name}.*" });
        var effectless = notes[notes.IndexOf("Without effect:", StringComparison.Ordinal)..].Split(' ', ',', ':', '\n');
        Assert.True(names.Any(effectless.Contains), $"{path} has no effect and NOTES do not list it:\n{notes}");
    }

    [Theory]
    [InlineData("init.image.tag")]
    [InlineData("nodeAgent")]
    [InlineData("env.VPC_CNI_VERSION")]
    [InlineData("livenessProbe.exec.command")]
    public void Key_that_is_not_set_is_not_listed_as_without_effect(string path)
    {
        Assert.Contains(path, Whole.Value.Notes, StringComparison.Ordinal);
        Assert.DoesNotContain(path, Notes(Without(path)), StringComparison.Ordinal);
    }

    /// <summary>For keys equal to our default: another value is rendered, or rejected with a reason.</summary>
    private static bool AnotherValueHasAnEffect(string path)
    {
        if (Find(path) is not JsonValue value)
            return false;
        var other = value.ToString() switch
        {
            "true" => "false",
            "false" => "true",
            "RollingUpdate" => "OnDelete",
            _ => null,
        };
        if (other is null)
            return false;
        var changed = Set(path, value.GetValueKind() == JsonValueKind.String ? JsonValue.Create(other) : JsonValue.Create(other == "true"));
        var outcome = HelmRenderer.TryRender([], changed.ToJsonString());
        if (outcome.ExitCode == 0)
            return outcome.Output != Whole.Value.Objects;
        var isRefusedByName = outcome.Errors.Contains(path.Split('.')[^1], StringComparison.Ordinal);
        return isRefusedByName && !outcome.Errors.Contains("schema", StringComparison.Ordinal);
    }

    private static string Objects(JsonObject values)
    {
        var outcome = HelmRenderer.TryRender([], values.ToJsonString());
        // A missing name of an image or subnet is rejected, so the key has an effect.
        return outcome.ExitCode == 0 ? outcome.Output : outcome.Errors;
    }

    private static string Notes(JsonObject values) => HelmRenderer.TryRender(["-notes"], values.ToJsonString()).Output;

    private static IEnumerable<string> Paths(JsonObject map, string prefix) =>
        map.SelectMany(item =>
            item.Value switch
            {
                null => [],
                JsonObject inner => Paths(inner, $"{prefix}{item.Key}."),
                _ when item.Key.Contains('.', StringComparison.Ordinal) => [prefix.TrimEnd('.')],
                _ => [$"{prefix}{item.Key}"],
            }
        );

    private static JsonNode? Find(string path) => path.Split('.').Aggregate((JsonNode?)File.Value, (node, key) => node?[key]);

    private static JsonObject Without(string path)
    {
        var copy = File.Value.DeepClone().AsObject();
        Parent(copy, path).Remove(path.Split('.')[^1]);
        return copy;
    }

    private static JsonObject Set(string path, JsonNode value)
    {
        var copy = File.Value.DeepClone().AsObject();
        Parent(copy, path)[path.Split('.')[^1]] = value;
        return copy;
    }

    private static JsonObject Parent(JsonObject root, string path) =>
        path.Split('.')[..^1].Aggregate(root, (node, key) => node[key]!.AsObject());
}
