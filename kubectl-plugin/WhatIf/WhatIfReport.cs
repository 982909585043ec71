// SPDX-License-Identifier: Apache-2.0
using System.Text.Json;
using System.Text.Json.Serialization;

namespace VpcCni.KubectlPlugin.WhatIf;

/// <summary>Formats the steps as a table of at most 80 columns, or as JSON.</summary>
internal static class WhatIfReport
{
    private const int Columns = 80;

    public static string Json(WhatIfOutcome outcome) =>
        JsonSerializer.Serialize([.. outcome.Steps], WhatIfJson.Default.WhatIfStepArray) + "\n";

    public static string Table(WhatIfOutcome outcome)
    {
        var text = new StringWriter { NewLine = "\n" };
        text.WriteLine("                            UNUSED  UNUSED   EC2");
        text.WriteLine(" PODS ENIS ADDRS PREFIXES    ADDRS PREFIXES CALLS  USED/ADDRS PER ENI");
        foreach (var step in outcome.Steps)
        {
            var line =
                $"{step.Pods, 5} {step.Enis, 4} {step.Addresses, 5} {step.Prefixes, 8} {step.UnusedAddresses, 8} "
                + $"{step.UnusedPrefixes, 8} {step.Ec2Calls, 5}  ";
            var indent = new string(' ', line.Length);
            var isFirst = true;
            foreach (var part in step.PerEni.Select(eni => $"{eni.UsedAddresses}/{eni.Addresses}"))
            {
                if (!isFirst && line.Length + 1 + part.Length > Columns)
                {
                    text.WriteLine(line.TrimEnd());
                    line = indent;
                    isFirst = true;
                }

                line += (isFirst ? "" : " ") + part;
                isFirst = false;
            }

            text.WriteLine(line);
        }

        return text.ToString();
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(WhatIfStep[]))]
internal sealed partial class WhatIfJson : JsonSerializerContext;
