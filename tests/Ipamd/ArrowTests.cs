// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Xunit;

namespace VpcCni.Ipamd.Tests;

/// <summary>
/// ARCHITECTURE.md, "Arrows", held against the sources: components share one assembly, so a test guards their order and not the compiler.
/// </summary>
public sealed partial class ArrowTests
{
    /// <summary>In the order of the arrows: a component sees components above it, and shared projects.</summary>
    public static TheoryData<string, string[]> Allowed =>
        new()
        {
            { "Files", ["SystemCalls"] },
            { "Timing", [] },
            { "Ledger", ["Datapath", "Files", "Logging", "Netlink", "Timing"] },
            { "Clouds", ["Datapath", "Ledger", "Logging", "Netlink", "Timing"] },
            { "Hosting", ["Files", "Logging", "Timing"] },
            { "HostNetwork", ["Datapath", "Hosting", "Logging", "Netlink", "Timing"] },
            { "Planning", ["Datapath", "Ledger", "Netlink", "Timing"] },
            { "Events", ["Clouds", "HostNetwork", "Ledger", "Planning"] },
            { "Placement", ["Clouds", "Planning"] },
            { "Observation", ["Clouds", "Datapath", "Events", "HostNetwork", "Ledger", "Netlink", "Placement", "Planning", "Timing"] },
            { "Allocation", ["Clouds", "Events", "Ledger", "Observation", "Planning"] },
            {
                "Provisioning",
                ["Allocation", "Clouds", "Events", "HostNetwork", "Ledger", "Netlink", "Observation", "Placement", "Planning", "Timing"]
            },
            { "MissedDels", ["Allocation", "Events", "Ledger", "Planning"] },
            { "Readiness", ["Clouds", "Events", "Ledger", "Observation", "Planning", "Provisioning"] },
            { "History", ["Allocation", "Events", "Ledger", "Planning"] },
            { "Metrics", ["Allocation", "Clouds", "Events", "HostNetwork", "Ledger", "Netlink", "Planning", "Provisioning", "Readiness"] },
            {
                "Kubernetes",
                ["Clouds", "Datapath", "Events", "Hosting", "Ledger", "Logging", "Observation", "Placement", "Planning", "Timing"]
            },
            { "Audit", ["Clouds", "Datapath", "Events", "HostNetwork", "Ledger", "Netlink", "Observation"] },
            { "Install", ["Files"] },
            { "Options", ["Clouds", "HostNetwork", "Install", "Kubernetes", "Ledger", "Logging", "Netlink", "Planning"] },
            { "Introspection", ["Datapath", "HostNetwork", "Hosting", "Ledger", "Netlink", "Options", "Placement", "Planning"] },
            {
                "Startup",
                [
                    "Allocation",
                    "Clouds",
                    "Events",
                    "HostNetwork",
                    "Hosting",
                    "Ledger",
                    "MissedDels",
                    "Netlink",
                    "Observation",
                    "Options",
                    "Placement",
                    "Planning",
                    "Provisioning",
                    "Readiness",
                    "Timing",
                ]
            },
            {
                "Rpc",
                [
                    "Allocation",
                    "Audit",
                    "Clouds",
                    "Datapath",
                    "Events",
                    "History",
                    "HostNetwork",
                    "Hosting",
                    "Ledger",
                    "Metrics",
                    "Netlink",
                    "Observation",
                    "Planning",
                    "Protos",
                    "Provisioning",
                    "Readiness",
                ]
            },
            {
                "Cli",
                ["Clouds", "Files", "History", "HostNetwork", "Hosting", "Install", "Ledger", "Logging", "MissedDels", "Options", "Protos"]
            },
        };

    [Theory]
    [MemberData(nameof(Allowed))]
    public void A_component_sees_only_what_the_architecture_allows(string component, string[] allowed)
    {
        var folder = Path.Combine(Sources(), component);
        var files = Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        foreach (var file in files)
        {
            var seen = Ours().Matches(File.ReadAllText(file)).Select(match => match.Groups["name"].Value).Where(name => name != component);
            Assert.All(seen, name => Assert.True(allowed.Contains(name), $"{Path.GetFileName(file)} in {component} uses {name}"));
        }
    }

    [Fact]
    public void Every_component_has_its_arrows_here() =>
        Assert.Equal(
            Directory
                .GetDirectories(Sources())
                .Select(Path.GetFileName)
                .Where(name => name is not ("bin" or "obj"))
                .Order(StringComparer.Ordinal),
            Allowed.Select(row => row.Data.Item1).Order(StringComparer.Ordinal)
        );

    [Fact]
    public void Arrows_point_one_way()
    {
        List<string> above = [];
        foreach (var (component, allowed) in Allowed.Select(row => row.Data))
        {
            Assert.All(allowed.Except(Shared), name => Assert.True(above.Contains(name), $"{component} sees {name}, which comes after it"));
            above.Add(component);
        }
    }

    [Fact]
    public void Root_has_only_the_edge_and_the_parts() =>
        Assert.Equal(
            ["Daemon.cs", "Program.cs"],
            Directory.GetFiles(Sources(), "*.cs").Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );

    /// <summary>Growing pauses and their random parts are <c>Timing</c>'s.</summary>
    [Fact]
    public void Pauses_are_computed_in_one_place() =>
        Assert.Equal(
            ["Hosting/LockedRandom.cs", "Timing/Backoff.cs", "Timing/Jitter.cs"],
            Directory
                .GetFiles(Sources(), "*.cs", SearchOption.AllDirectories)
                .Where(file => PauseArithmetic().IsMatch(File.ReadAllText(file)))
                .Select(file => Path.GetRelativePath(Sources(), file))
                .Order(StringComparer.Ordinal)
        );

    [GeneratedRegex(@"\bNextDouble\(|\bMath\.(Pow|ScaleB)\(", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PauseArithmetic();

    /// <summary>Components are composed by the root and never see it.</summary>
    [Fact]
    public void No_component_uses_a_type_of_the_root()
    {
        string[] root =
        [
            .. Directory.GetFiles(Sources(), "*.cs").SelectMany(file => Declaration().Matches(File.ReadAllText(file)).Select(Name)),
        ];
        Assert.Contains("Daemon", root);
        foreach (var file in Components())
        {
            var used = Use().Matches(File.ReadAllText(file)).Select(Name).Intersect(root);
            Assert.All(used, name => Assert.Fail($"{Path.GetFileName(file)} uses {name}, which is in the root"));
        }
    }

    /// <summary>
    /// What a cloud calls things is known to its adapter alone. Names that operators set or read, and the reference's own, stay where they
    /// are defined.
    /// </summary>
    [Fact]
    public void No_word_of_EC2_outside_its_adapter()
    {
        string[] exempt =
        [
            "CloudComposition.cs", // chooses the adapter
            "ReferenceMetrics.cs", // the reference's metrics and their texts
            "EniPage.cs", // the reference's introspection page
            "AwsCniRules.cs", // comments of the reference's iptables rules
        ];
        foreach (var file in Components().Where(file => !exempt.Contains(Path.GetFileName(file))))
        {
            if (file.Contains("/Clouds/Aws/", StringComparison.Ordinal) || file.Contains("/Options/", StringComparison.Ordinal))
                continue;
            var text = ContractNames().Replace(File.ReadAllText(file), "");
            var found = WordOfEc2().Matches(text).Select(match => match.Value).Distinct(StringComparer.Ordinal);
            Assert.All(found, word => Assert.Fail($"{Path.GetFileName(file)} says {word}"));
        }
    }

    /// <summary>An id means one message, in every build.</summary>
    [Fact]
    public void Log_event_ids_are_unique()
    {
        var ids = Directory
            .GetFiles(Sources(), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => EventId().Matches(File.ReadAllText(file)).Select(match => (Id: match.Groups["id"].Value, File: file)))
            .ToArray();
        Assert.True(ids.Length > 50);
        var shared = ids.GroupBy(item => item.Id).Where(group => group.Skip(1).Any());
        Assert.All(shared, group => Assert.Fail($"{group.Key}: {string.Join(", ", group.Select(item => Path.GetFileName(item.File)))}"));
    }

    /// <summary>
    /// A callback that may stay unset is one that a composition can forget, and nothing shows it: each is an argument or a required member.
    /// Where a callback can only be set later, a method sets it once, see <c>IHostNetwork.WatchLinks</c>.
    /// </summary>
    [Fact]
    public void Callbacks_and_loggers_cannot_be_forgotten()
    {
        string[] exempt =
        [
            "CommandConsole.Columns", // an option with a meaning: the output has no width
        ];
        var nullability = new NullabilityInfoContext();
        var types = typeof(Daemon).Assembly.GetTypes().Where(type => !type.IsDefined(typeof(CompilerGeneratedAttribute))).ToArray();
        var properties = types
            .SelectMany(type => type.GetProperties(Members))
            .Where(property => IsWired(property.PropertyType))
            .Select(property => (Name: $"{property.DeclaringType!.Name}.{property.Name}", IsForgettable: IsForgettable(property)))
            .ToArray();
        var parameters = types
            .SelectMany(type => type.GetConstructors(Members))
            .SelectMany(constructor => constructor.GetParameters())
            .Where(parameter => IsWired(parameter.ParameterType))
            .Select(parameter =>
                (
                    Name: $"{parameter.Member.DeclaringType!.Name}({parameter.Name})",
                    IsForgettable: parameter.IsOptional || nullability.Create(parameter).WriteState == NullabilityState.Nullable
                )
            )
            .ToArray();
        Assert.Contains(properties, item => item.Name == "DaemonFacts.WasNatTried");
        Assert.Contains(parameters, item => item.Name == "NodeWatch(missing)");
        Assert.Equal(exempt, properties.Concat(parameters).Where(item => item.IsForgettable).Select(item => item.Name));

        // A positional member of a record is set by the constructor, which is checked itself.
        bool IsForgettable(PropertyInfo property) =>
            nullability.Create(property).ReadState == NullabilityState.Nullable
            || (
                property.SetMethod is not null
                && !property.IsDefined(typeof(RequiredMemberAttribute))
                && !property
                    .DeclaringType!.GetConstructors(Members)
                    .Any(constructor => constructor.GetParameters().Any(parameter => parameter.Name == property.Name))
            );
    }

    private const BindingFlags Members = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    private static bool IsWired(Type type) =>
        type.IsAssignableTo(typeof(Delegate)) || type.IsAssignableTo(typeof(ILogger)) || type.IsAssignableTo(typeof(ILoggerFactory));

    [GeneratedRegex(@"LoggerMessage\(\s*(?<id>\d+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex EventId();

    private static string Name(Match match) => match.Groups["name"].Value;

    private static IEnumerable<string> Components() =>
        Directory
            .GetDirectories(Sources())
            .Where(folder => Path.GetFileName(folder) is not ("bin" or "obj"))
            .SelectMany(folder => Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories));

    /// <summary>Projects of their own, and what they are built from.</summary>
    private static readonly string[] Shared = ["Datapath", "Logging", "Netlink", "Protos", "SystemCalls"];

    private static string Sources([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "ipamd"));

    [GeneratedRegex(@"\bVpcCni\.(Ipamd\.)?(?<name>[A-Z]\w+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Ours();

    [GeneratedRegex(
        @"^(internal|public)[a-z ]* (class|record|struct|enum|interface) (?<name>\w+)",
        RegexOptions.ExplicitCapture | RegexOptions.Multiline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Declaration();

    /// <summary>A member access or a construction, outside comments and text.</summary>
    [GeneratedRegex(
        @"^(?!\s*//)[^""\n]*((?<![.\w])(?<name>[A-Z]\w+)\.|\bnew (?<name>[A-Z]\w+)\()",
        RegexOptions.ExplicitCapture | RegexOptions.Multiline,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Use();

    /// <summary>Variables, objects and log fields that users know, and the reference's name.</summary>
    [GeneratedRegex(
        @"AWS VPC CNI|[A-Z_]+_(ENIS?|IMDS|EC2)(_[A-Z_]+)?|ReferenceMetrics\.\w+|ENIConfigs?|[Ee]niConfigs?|EniPage"
            + @"|EniLimitReached|EniConfigUnusable|WarmEniTarget|OptionTable\.\w+|NetworkInterfaceId eni\b",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex ContractNames();

    [GeneratedRegex(
        @"EC2|\bEc2\w*|Amazon(?!aws)|\bIMDS\b|Imds|\bENIs?\b|\w*Eni(s\b|[A-Z]\w*|\b)|\b[Tt]runks?\b|\bEFA\b|no_manage"
            + @"|AttachmentId|DeleteOnTermination",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex WordOfEc2();
}
