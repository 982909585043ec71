// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Lab.Hosting;

/// <summary>CPUs and memory of machine types of GCE and Azure, from their names.</summary>
internal static partial class MachineTypes
{
    /// <summary>Memory for each CPU of a standard type.</summary>
    private const int MebibytesPerCpu = 4 * 1024;

    public const string GceDefault = "e2-standard-4";

    public const string AzureDefault = "Standard_D4s_v5";

    /// <summary>CPUs of a GCE type, such as <c>n2-standard-8</c>; null if it is not a standard type.</summary>
    public static int? GceCpus(string type) => Number(GceStandard().Match(type));

    /// <summary>CPUs of an Azure size, such as <c>Standard_D8s_v5</c>; null if it is not one of the general-purpose ones (D).</summary>
    public static int? AzureCpus(string size) => Number(AzureGeneral().Match(size));

    public static int MemoryMebibytes(int cpus) => cpus * MebibytesPerCpu;

    private static int? Number(Match match) => match.Success ? int.Parse(match.Groups["cpus"].ValueSpan) : null;

    [GeneratedRegex("^[a-z][0-9][a-z]?-standard-(?<cpus>[1-9][0-9]{0,2})$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex GceStandard();

    [GeneratedRegex("^Standard_D(?<cpus>[1-9][0-9]{0,2})[a-z]*_v[0-9]$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex AzureGeneral();
}
