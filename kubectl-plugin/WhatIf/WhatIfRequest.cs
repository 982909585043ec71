// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Options;
using VpcCni.Lab.VpcModel;
using VpcCni.Netlink;

namespace VpcCni.KubectlPlugin.WhatIf;

/// <summary>A valid command line: instance type, options and numbers of pods.</summary>
internal sealed record WhatIfRequest(InstanceType Type, IpamdOptions Options, IReadOnlyList<int> Pods, IReadOnlyList<string> Warnings)
{
    /// <summary>Upper bound of a number of pods; more than any node runs.</summary>
    private const int MaxPods = 10_000;

    /// <summary>Upper bound of the steps; each takes about a second of real time on a large node.</summary>
    private const int MaxSteps = 100;

    private const int NamesShown = 8;

    /// <summary>Parses the command line. Returns all problems if it is invalid.</summary>
    public static (WhatIfRequest? Request, IReadOnlyList<string> Problems) Parse(
        string instanceType,
        string pods,
        IReadOnlyList<string> settings
    )
    {
        List<string> problems = [];
        var type = FindType(instanceType, problems);
        var counts = ParsePods(pods, problems);
        var environment = ParseSettings(settings, problems);
        var known = OptionTable.All.Select(option => option.Name).ToHashSet(StringComparer.Ordinal);
        // The daemon only warns of unknown options; here they are errors.
        foreach (var name in environment.Keys.Where(name => !known.Contains(name)))
            problems.Add($"--set {name}: the daemon has no such option{Near(name, known)}");
        // There is no cluster. The run sets the ENIConfig of the pool if custom networking is enabled.
        environment.TryAdd(OptionTable.ClusterEndpoint.Name, "https://cluster.invalid");
        environment.TryAdd(OptionTable.NodeName.Name, "whatif");
        var bound = OptionBinder.Bind(environment.Where(pair => known.Contains(pair.Key)).ToDictionary());
        problems.AddRange([.. bound.Problems, .. bound.NotAllowed]);
        // The model has one IPv4 subnet, and the report counts IPv4 addresses.
        if (bound.Options.Families.Contains(IpFamily.V6))
            problems.Add($"--set {OptionTable.ServesIpv6.Name}=true: whatif computes IPv4 addresses only; expected false, or no value");
        return problems.Count == 0 ? (new WhatIfRequest(type!, bound.Options, counts, bound.Warnings), problems) : (null, problems);
    }

    private static InstanceType? FindType(string name, List<string> problems)
    {
        if (InstanceTypeTable.Find(name) is not { } row)
        {
            var table = Encoding.UTF8.GetString(InstanceTypeTable.Read()).Split('\n');
            var known = table.Where(line => !line.StartsWith('#')).Select(line => line.Split(' ')[0]);
            problems.Add($"--instance-type '{name}' is unknown{Near(name, known)}");
            return null;
        }

        return new InstanceType
        {
            Name = row.Name,
            MaxInterfaces = row.Interfaces,
            Ipv4PerInterface = row.Ipv4PerInterface,
            Ipv6PerInterface = row.Ipv6PerInterface,
            Hypervisor = row.Hypervisor switch
            {
                "nitro" => Hypervisor.Nitro,
                "xen" => Hypervisor.Xen,
                "none" => Hypervisor.None,
                _ => throw new InvalidDataException($"unnamed hypervisor {row.Hypervisor}"),
            },
            Vcpus = 0,
            MemoryMib = 0,
            NetworkCards = [new NetworkCard(0, row.CardInterfaces)],
        };
    }

    private static List<int> ParsePods(string text, List<string> problems)
    {
        List<int> counts = [];
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= MaxPods)
                counts.Add(count);
            else
                problems.Add($"--pods: '{part}' is not a number of pods from 0 to {MaxPods}; expected a list such as 0,5,9");
        }

        if (counts.Count > MaxSteps)
            problems.Add($"--pods: {counts.Count} steps are too many, expected at most {MaxSteps}");
        return counts;
    }

    private static Dictionary<string, string> ParseSettings(IReadOnlyList<string> settings, List<string> problems)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var setting in settings)
        {
            var at = setting.IndexOf('=', StringComparison.Ordinal);
            if (at <= 0)
                problems.Add($"--set '{setting}': expected NAME=VALUE, e.g. WARM_IP_TARGET=2");
            else if (!environment.TryAdd(setting[..at], setting[(at + 1)..]))
                problems.Add($"--set {setting[..at]} is given twice");
        }

        return environment;
    }

    /// <summary>Returns the hint on similar names for an error message.</summary>
    private static string Near(string name, IEnumerable<string> names)
    {
        var near = Spelling.Near(name, names.Where(other => other.Length > 0), Math.Max(3, name.Length / 3)).Take(NamesShown).ToArray();
        return near.Length == 0 ? "" : $"; did you mean {string.Join(", ", near)}?";
    }
}
