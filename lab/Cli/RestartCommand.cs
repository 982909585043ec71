// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab restart-ipamd</c>: kills a node's daemon with SIGKILL and starts it again.</summary>
internal static class RestartCommand
{
    public static Command Create(CliContext context)
    {
        var node = new Argument<string>("NODE");
        return context.Make(
            "restart-ipamd",
            "Kill a node's daemon and start it again",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                var reply = await lab.RestartIpamdAsync(parsed.GetValue(node)!, cancellationToken);
                await parsed.InvocationConfiguration.Output.WriteLineAsync(
                    $"ipamd on {reply.Node} serves again after {reply.Milliseconds} ms"
                );
                return 0;
            },
            node
        );
    }
}
