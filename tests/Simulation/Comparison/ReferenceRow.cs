// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests.Comparison;

/// <summary>The AWS VPC CNI's pool at one step.</summary>
/// <param name="Pods">Number of pods that run, or were requested.</param>
/// <param name="Interfaces">Attached interfaces, the primary one included.</param>
/// <param name="Addresses">Secondary addresses on all of them, without prefixes.</param>
/// <param name="Prefixes">Prefixes on all of them.</param>
/// <param name="AllServed">Whether every pod of the step got an address within a minute.</param>
internal sealed record ReferenceStep(int Pods, int Interfaces, int Addresses, int Prefixes, bool AllServed);

/// <summary>
/// One node's measured steps under one setting: <c>reference-pool.tsv</c>. One pod started after another; after each step the pool had 13 s
/// to settle.
/// </summary>
/// <param name="InstanceType">The node's instance type.</param>
/// <param name="Settings">NAME=VALUE pairs, separated by spaces.</param>
/// <param name="Steps">The steps, by ascending number of pods.</param>
internal sealed record ReferenceRow(string InstanceType, string Settings, IReadOnlyList<ReferenceStep> Steps)
{
    private const string File = "reference-pool.tsv";

    public Dictionary<string, string> Environment =>
        Settings
            .Split(' ')
            .Select(setting => setting.Split('='))
            .ToDictionary(parts => parts[0], parts => parts[1], StringComparer.Ordinal);

    public bool UsesPrefixes => Environment.ContainsKey("ENABLE_PREFIX_DELEGATION");

    public bool UsesAddressTargets => Environment.ContainsKey("WARM_IP_TARGET") || Environment.ContainsKey("MINIMUM_IP_TARGET");

    public static IReadOnlyList<ReferenceRow> Read()
    {
        using var stream =
            typeof(ReferenceRow).Assembly.GetManifestResourceStream(File) ?? throw new InvalidOperationException($"{File} is not embedded");
        using var reader = new StreamReader(stream);
        var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#').Skip(1);
        return
        [
            .. lines
                .Select(line => line.Split('\t'))
                .GroupBy(fields => (Type: fields[0], Settings: fields[1]))
                .Select(group => new ReferenceRow(group.Key.Type, group.Key.Settings, [.. group.Select(Parse)])),
        ];
    }

    public override string ToString() => $"{InstanceType} {Settings}";

    private static ReferenceStep Parse(string[] fields) =>
        new(int.Parse(fields[2]), int.Parse(fields[3]), int.Parse(fields[4]), int.Parse(fields[5]), fields[6] == "yes");
}
