// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;
using VpcCni.Ipamd.Options;
using VpcCni.Lab.VpcModel;

namespace VpcCni.KubectlPlugin.WhatIf;

/// <summary>A question that makes sense: instance type, options and numbers of pods.</summary>
internal sealed record WhatIfRequest(InstanceType Type, IpamdOptions Options, IReadOnlyList<int> Pods, IReadOnlyList<string> Warnings)
{
    /// <summary>More pods than any node runs.</summary>
    private const int MostPods = 10_000;

    /// <summary>Each step takes a second or so of real time on a large node.</summary>
    private const int MostSteps = 100;

    private const int NamesShown = 8;

    /// <summary>Understands what a person wrote, or says everything that is wrong with it.</summary>
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
        // What the daemon only warns of is a question that makes no sense.
        foreach (var name in environment.Keys.Where(name => !known.Contains(name)))
            problems.Add($"--set {name}: the daemon has no such option{Near(name, known)}");
        // There is no cluster to ask; the run tells the pool its ENIConfig, if that is wanted.
        environment.TryAdd(OptionTable.ClusterEndpoint.Name, "https://cluster.invalid");
        environment.TryAdd(OptionTable.NodeName.Name, "whatif");
        var bound = OptionBinder.Bind(environment.Where(pair => known.Contains(pair.Key)).ToDictionary());
        problems.AddRange([.. bound.Problems, .. bound.NotAllowed]);
        return problems.Count == 0 ? (new WhatIfRequest(type!, bound.Options, counts, bound.Warnings), problems) : (null, problems);
    }

    private static InstanceType? FindType(string name, List<string> problems)
    {
        if (InstanceTypeTable.Find(name) is not { } row)
        {
            var table = Encoding.UTF8.GetString(InstanceTypeTable.Read()).Split('\n');
            var known = table.Where(line => !line.StartsWith('#')).Select(line => line.Split(' ')[0]);
            problems.Add($"--instance-type '{name}' is not known{Near(name, known)}");
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
            if (int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= MostPods)
                counts.Add(count);
            else
                problems.Add($"--pods: '{part}' is not a number of pods from 0 to {MostPods}; expected a list such as 0,5,9");
        }

        if (counts.Count > MostSteps)
            problems.Add($"--pods: {counts.Count} steps are too many, expected at most {MostSteps}");
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

    /// <summary>The names that are most like it, for a message.</summary>
    private static string Near(string name, IEnumerable<string> names)
    {
        var near = Spelling.Near(name, names.Where(other => other.Length > 0), Math.Max(3, name.Length / 3)).Take(NamesShown).ToArray();
        return near.Length == 0 ? "" : $"; did you mean {string.Join(", ", near)}?";
    }
}
