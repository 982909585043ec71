// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Hosting;
using VpcCni.Lab.KubeApi;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab fault kube</c>: injects faults into the Kubernetes API of a running lab.</summary>
internal static class KubeFaultCommand
{
    public static Command Create(CliContext context) =>
        new("kube", "Inject faults into the Kubernetes API")
        {
            CreateStatus(context),
            CreateSlow(context),
            CreateKind(context, "garbage", KubeFaultKind.Garbage, "Return a body that is not JSON"),
            CreateKind(context, "truncated", KubeFaultKind.Truncated, "Close the connection in the middle of a response"),
            CreateKind(context, "broken", KubeFaultKind.Broken, "Close the connection before the request takes effect"),
            CreateKind(context, "lost-answer", KubeFaultKind.LostAnswer, "Let the request take effect, and close the connection"),
            CreateKind(context, "stalled", KubeFaultKind.Stalled, "Never respond; a watch starts and sends nothing"),
            CreateAction(context, "close-watches", KubeAction.CloseWatches, "Close all watches"),
            CreateAction(context, "compact", KubeAction.Compact, "Drop the history, so that watches that resume get 410"),
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
        var code = new Argument<int>("CODE") { Description = "HTTP status, for example 429, 503, 410" };
        var wait = new Option<double?>("--retry-after") { Description = "Value of the Retry-After header, in seconds" };
        var filter = new RequestFilter();
        return context.Make(
            "status",
            "Return an error status",
            (parsed, cancellationToken) =>
                InjectAsync(
                    context,
                    parsed,
                    filter.Read(parsed) with
                    {
                        Kind = KubeFaultKind.Status,
                        Code = parsed.GetValue(code),
                        RetryAfterSeconds = parsed.GetValue(wait),
                    },
                    cancellationToken
                ),
            [code, wait, .. filter.All]
        );
    }

    private static Command CreateSlow(CliContext context)
    {
        var delay = new Argument<double>("MS") { Description = "Delay of the responses, in ms" };
        var filter = new RequestFilter();
        return context.Make(
            "slow",
            "Delay responses",
            (parsed, cancellationToken) =>
                InjectAsync(
                    context,
                    parsed,
                    filter.Read(parsed) with
                    {
                        Kind = KubeFaultKind.Slow,
                        DelayMilliseconds = parsed.GetValue(delay),
                    },
                    cancellationToken
                ),
            [delay, .. filter.All]
        );
    }

    private static Command CreateKind(CliContext context, string name, KubeFaultKind kind, string description)
    {
        var filter = new RequestFilter();
        return context.Make(
            name,
            description,
            (parsed, cancellationToken) => InjectAsync(context, parsed, filter.Read(parsed) with { Kind = kind }, cancellationToken),
            [.. filter.All]
        );
    }

    private static Command CreateOutage(CliContext context)
    {
        var state = new Argument<string>("on|off");
        state.AcceptOnlyFromAmong("on", "off");
        return context.Make(
            "outage",
            "Refuse the nodes' connections, or accept them again",
            (parsed, cancellationToken) =>
                RunActionAsync(
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
        var revoke = new Option<bool>("--revoke") { Description = "Revoke the old tokens" };
        return context.Make(
            "rotate-tokens",
            "Issue a new token to every node",
            (parsed, cancellationToken) =>
                RunActionAsync(context, parsed, new KubeActionSpec(KubeAction.RotateTokens, parsed.GetValue(revoke)), cancellationToken),
            revoke
        );
    }

    private static Command CreateAction(CliContext context, string name, KubeAction action, string description) =>
        context.Make(
            name,
            description,
            (parsed, cancellationToken) => RunActionAsync(context, parsed, new KubeActionSpec(action), cancellationToken)
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
            $"armed: {fault.Verb} {fault.Resource} {(fault.Times is { } left ? $"{left} times" : "until cleared")}"
        );
        return 0;
    }

    private static async Task<int> RunActionAsync(
        CliContext context,
        ParseResult parsed,
        KubeActionSpec action,
        CancellationToken cancellationToken
    )
    {
        using var lab = context.Connect(parsed);
        await lab.RunKubernetesActionAsync(action, cancellationToken);
        return 0;
    }

    /// <summary>Options that select the requests that a fault affects, and their number.</summary>
    private sealed class RequestFilter
    {
        private readonly Option<string> _verb = new("--verb")
        {
            Description = "get, list, watch, create, update, patch or delete",
            DefaultValueFactory = _ => "*",
        };
        private readonly Option<string> _resource = new("--resource")
        {
            Description = "For example nodes, nodes/status, eniconfigs",
            DefaultValueFactory = _ => "*",
        };
        private readonly Option<int> _times = new("--times")
        {
            Description = "Number of requests; 0 for no limit",
            DefaultValueFactory = _ => 1,
        };

        public RequestFilter() => _verb.AcceptOnlyFromAmong("*", "get", "list", "watch", "create", "update", "patch", "delete");

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
