// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Lab.Hosting;

/// <summary>CPUs and memory of machine types of GCE, from their names.</summary>
internal static partial class MachineTypes
{
    /// <summary>Memory for each CPU of a standard type.</summary>
    private const int MebibytesPerCpu = 4 * 1024;

    public const string GceDefault = "e2-standard-4";

    /// <summary>CPUs of a GCE type, such as <c>n2-standard-8</c>; null if it is not a standard type.</summary>
    public static int? GceCpus(string type) => Number(GceStandard().Match(type));

    public static int MemoryMebibytes(int cpus) => cpus * MebibytesPerCpu;

    private static int? Number(Match match) => match.Success ? int.Parse(match.Groups["cpus"].ValueSpan) : null;

    [GeneratedRegex("^[a-z][0-9][a-z]?-standard-(?<cpus>[1-9][0-9]{0,2})$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex GceStandard();
}
