// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.KubeApi;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab fault kube</c>: makes the Kubernetes API of a running lab fail, lie, hang or go away.</summary>
internal static class KubeFaultCommand
{
    public static Command Create(CliContext context) =>
        new("kube", "Make the Kubernetes API fail")
        {
            CreateStatus(context),
            CreateSlow(context),
            CreateKind(context, "garbage", KubeFaultKind.Garbage, "Answer with what is no JSON"),
            CreateKind(context, "truncated", KubeFaultKind.Truncated, "Break off in the middle of an answer"),
            CreateKind(context, "broken", KubeFaultKind.Broken, "Break the connection before anything happens"),
            CreateKind(context, "lost-answer", KubeFaultKind.LostAnswer, "Do what is asked and break the connection"),
            CreateKind(context, "stalled", KubeFaultKind.Stalled, "Never answer; a watch begins and stays silent"),
            CreateAction(context, "close-watches", KubeAction.CloseWatches, "Break off all watches"),
            CreateAction(context, "compact", KubeAction.Compact, "Forget the history: watches that resume get 410"),
            CreateOutage(context),
            CreateRotate(context),
            context.Make(
                "clear",
                "Disarm faults",
                async (parsed, cancellationToken) =>
                {
                    using var lab = context.Connect(parsed);
                    await lab.ClearKubernetesFaultsAsync(cancellationToken);
                    return 0;
                }
            ),
        };

    private static Command CreateStatus(CliContext context)
    {
        var code = new Argument<int>("CODE") { Description = "HTTP status, e.g. 429, 503, 410" };
        var wait = new Option<double?>("--retry-after") { Description = "Seconds" };
        var where = new Where();
        return context.Make(
            "status",
            "Answer with a failure",
            (parsed, cancellationToken) =>
                InjectAsync(
                    context,
                    parsed,
                    where.Read(parsed) with
                    {
                        Kind = KubeFaultKind.Status,
                        Code = parsed.GetValue(code),
                        RetryAfterSeconds = parsed.GetValue(wait),
                    },
                    cancellationToken
                ),
            [code, wait, .. where.All]
        );
    }

    private static Command CreateSlow(CliContext context)
    {
        var delay = new Argument<double>("MS") { Description = "How late the answers come" };
        var where = new Where();
        return context.Make(
            "slow",
            "Answer late",
            (parsed, cancellationToken) =>
                InjectAsync(
                    context,
                    parsed,
                    where.Read(parsed) with
                    {
                        Kind = KubeFaultKind.Slow,
                        DelayMilliseconds = parsed.GetValue(delay),
                    },
                    cancellationToken
                ),
            [delay, .. where.All]
        );
    }

    private static Command CreateKind(CliContext context, string name, KubeFaultKind kind, string description)
    {
        var where = new Where();
        return context.Make(
            name,
            description,
            (parsed, cancellationToken) => InjectAsync(context, parsed, where.Read(parsed) with { Kind = kind }, cancellationToken),
            [.. where.All]
        );
    }

    private static Command CreateOutage(CliContext context)
    {
        var state = new Argument<string>("on|off");
        state.AcceptOnlyFromAmong("on", "off");
        return context.Make(
            "outage",
            "Refuse the nodes' connections, or listen again",
            (parsed, cancellationToken) =>
                DoAsync(
                    context,
                    parsed,
                    new KubeActionSpec(parsed.GetValue(state) == "on" ? KubeAction.BeginOutage : KubeAction.EndOutage),
                    cancellationToken
                ),
            state
        );
    }

    private static Command CreateRotate(CliContext context)
    {
        var revoke = new Option<bool>("--revoke") { Description = "The old tokens end now" };
        return context.Make(
            "rotate-tokens",
            "Give every node a new token",
            (parsed, cancellationToken) =>
                DoAsync(context, parsed, new KubeActionSpec(KubeAction.RotateTokens, parsed.GetValue(revoke)), cancellationToken),
            revoke
        );
    }

    private static Command CreateAction(CliContext context, string name, KubeAction action, string description) =>
        context.Make(
            name,
            description,
            (parsed, cancellationToken) => DoAsync(context, parsed, new KubeActionSpec(action), cancellationToken)
        );

    private static async Task<int> InjectAsync(
        CliContext context,
        ParseResult parsed,
        KubeFaultSpec fault,
        CancellationToken cancellationToken
    )
    {
        using var lab = context.Connect(parsed);
        await lab.InjectKubernetesAsync(fault, cancellationToken);
        await parsed.InvocationConfiguration.Output.WriteLineAsync(
            $"armed: {fault.Verb} {fault.Resource} {(fault.Times is { } left ? $"{left} times" : "for ever")}"
        );
        return 0;
    }

    private static async Task<int> DoAsync(
        CliContext context,
        ParseResult parsed,
        KubeActionSpec action,
        CancellationToken cancellationToken
    )
    {
        using var lab = context.Connect(parsed);
        await lab.DoToKubernetesAsync(action, cancellationToken);
        return 0;
    }

    /// <summary>Which requests a fault strikes, and how often.</summary>
    private sealed class Where
    {
        private readonly Option<string> _verb = new("--verb")
        {
            Description = "get, list, watch, create, update, patch or delete",
            DefaultValueFactory = _ => "*",
        };
        private readonly Option<string> _resource = new("--resource")
        {
            Description = "E.g. nodes, nodes/status, eniconfigs",
            DefaultValueFactory = _ => "*",
        };
        private readonly Option<int> _times = new("--times") { Description = "How often; 0 for ever", DefaultValueFactory = _ => 1 };

        public Where() => _verb.AcceptOnlyFromAmong("*", "get", "list", "watch", "create", "update", "patch", "delete");

        public IEnumerable<Symbol> All => [_verb, _resource, _times];

        public KubeFaultSpec Read(ParseResult parsed) =>
            new()
            {
                Kind = KubeFaultKind.Status,
                Verb = parsed.GetValue(_verb)!,
                Resource = parsed.GetValue(_resource)!,
                Times = parsed.GetValue(_times) is var count && count == 0 ? null : count,
            };
    }
}
