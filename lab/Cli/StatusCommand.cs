// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Text.Json;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab status</c>: prints a <see cref="LabStatus"/> as text or JSON.</summary>
internal static class StatusCommand
{
    public static Command Create(CliContext context) =>
        context.Make(
            "status",
            "Show nodes, ENIs, pods, drops and calls of the cloud's API",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                var status = await lab.StatusAsync(cancellationToken);
                var output = parsed.InvocationConfiguration.Output;
                if (parsed.GetValue(context.JsonOption))
                    await output.WriteLineAsync(JsonSerializer.Serialize(status, LabJson.Options));
                else
                    await StatusTable.WriteAsync(output, status);
                return 0;
            },
            context.JsonOption
        );
}
