// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab up</c>: builds a lab and runs it until it is stopped, in the foreground or in the background.</summary>
internal static class UpCommand
{
    public static Command Create(CliContext context)
    {
        var defaults = new LabOptions();
        var nodes = new Option<IReadOnlyList<int>>("--nodes")
        {
            Description = "Number of nodes, or a number for each subnet: 2,1",
            CustomParser = ParseNodes,
            DefaultValueFactory = _ => defaults.Nodes,
        };
        var cloud = new Option<LabCloud>("--cloud")
        {
            Description = $"The cloud: {string.Join(", ", Enum.GetValues<LabCloud>().Select(LabOptions.NameOf))} (default: aws)",
            CustomParser = ParseCloud,
        };
        var type = new Option<string?>("--instance-type")
        {
            Description =
                $"Instance type of the nodes (default: {string.Join(", ", Enum.GetValues<LabCloud>().Select(LabOptions.DefaultTypeOf))})",
        };
        var vpc = new Option<IPNetwork>("--vpc-cidr")
        {
            Description = "The VPC's range",
            CustomParser = ParseNetwork,
            DefaultValueFactory = _ => defaults.VpcRange,
        };
        var family = FamilyOption();
        var vpcIpv6 = new Option<IPNetwork?>("--vpc-ipv6-cidr")
        {
            Description = $"The VPC's IPv6 range (default: {LabOptions.DefaultIpv6Range}); each subnet gets a /64 of it",
            CustomParser = result => ParseNetwork(result.Tokens[0].Value, result),
        };
        var subnets = new Option<IPNetwork[]>("--subnet-cidr")
        {
            Description = "A subnet; may be repeated",
            DefaultValueFactory = _ => [],
            CustomParser = result => [.. result.Tokens.Select(token => ParseNetwork(token.Value, result)).OfType<IPNetwork>()],
        };
        var podSubnets = new Option<IPNetwork[]>("--pod-subnet-cidr")
        {
            Description = "A subnet for pods, to name in an ENIConfig, or on GCE a secondary range; may be repeated",
            DefaultValueFactory = _ => [],
            CustomParser = result => [.. result.Tokens.Select(token => ParseNetwork(token.Value, result)).OfType<IPNetwork>()],
        };
        var podCidrs = new Option<IPNetwork[]>("--pod-cidr")
        {
            Description = "Range of which each node gets a /24 (or /64) as its spec.podCIDRs; once for each family",
            DefaultValueFactory = _ => [],
            CustomParser = result => [.. result.Tokens.Select(token => ParseNetwork(token.Value, result)).OfType<IPNetwork>()],
        };
        var mayForward = new Option<bool>("--ip-forward")
        {
            Description = "Let nodes forward: no source/destination check, canIpForward, enableIPForwarding",
        };
        var scaleSet = new Option<string?>("--scale-set") { Description = "Name of a scale set of which the nodes are; only on Azure" };
        var operation = new Option<double>("--operation-latency") { Description = "How long an operation takes, in ms; not on AWS" };
        var latency = new Option<double>("--ec2-latency", "--api-latency")
        {
            Description = "Latency of every call of the cloud's API, in ms",
        };
        var attach = new Option<double>("--attach-latency") { Description = "Time to attach or detach an ENI, in ms" };
        var primaryIndex = new Option<int>("--primary-device-index")
        {
            Description = "EC2's device index of the nodes' primary ENIs (default: 0)",
        };
        var rate = new Option<double?>("--ec2-rate", "--api-rate")
        {
            Description = "Calls of the cloud's API per second before throttling",
        };
        var listen = new Option<IPEndPoint?>("--listen")
        {
            Description = "Also serve the cloud's API, metadata and Kubernetes API on this loopback endpoint: 127.0.0.1:PORT",
            CustomParser = ParseEndPoint,
        };
        var environment = new Option<string[]>("--env")
        {
            Description = "Environment of every ipamd: NAME=VALUE; may be repeated",
            DefaultValueFactory = _ => [],
        };
        var ipamd = new Option<string?>("--ipamd") { Description = "Path of ipamd (default on AWS: next to vpc-lab)" };
        var plugin = new Option<string?>("--plugin") { Description = "Path of vpc-cni (default: next to vpc-lab)" };
        var noIpamd = new Option<bool>("--no-ipamd") { Description = "Start no daemon on the nodes" };
        var maxPods = new Option<int?>("--max-pods") { Description = "Pod capacity of a node (default: from its type, as on EKS)" };
        var noKubernetes = new Option<bool>("--no-kubernetes") { Description = "Start no Kubernetes API" };
        var keep = new Option<bool>("--keep") { Description = "Keep a lab that does not become ready, for inspection, until down" };
        var detach = new Option<bool>("--detach") { Description = "Run in the background; return when ready" };

        return context.Make(
            "up",
            "Start a lab",
            (parsed, cancellationToken) =>
            {
                var chosen = parsed.GetValue(cloud);
                var options = new LabOptions
                {
                    Cloud = chosen,
                    Name = parsed.GetValue(context.NameOption)!,
                    RunFolder = parsed.GetValue(context.RunFolderOption)!,
                    Nodes = parsed.GetValue(nodes)!,
                    InstanceType = parsed.GetValue(type) ?? LabOptions.DefaultTypeOf(chosen),
                    VpcRange = parsed.GetValue(vpc),
                    Family = parsed.GetValue(family),
                    VpcIpv6Range = parsed.GetValue(vpcIpv6),
                    Subnets = parsed.GetValue(subnets)!,
                    PodSubnets = parsed.GetValue(podSubnets)!,
                    PodCidrs = parsed.GetValue(podCidrs)!,
                    MayForward = parsed.GetValue(mayForward),
                    ScaleSet = parsed.GetValue(scaleSet),
                    OperationLatency = TimeSpan.FromMilliseconds(parsed.GetValue(operation)),
                    Ec2Latency = TimeSpan.FromMilliseconds(parsed.GetValue(latency)),
                    AttachLatency = TimeSpan.FromMilliseconds(parsed.GetValue(attach)),
                    PrimaryDeviceIndex = parsed.GetValue(primaryIndex),
                    Ec2Rate = parsed.GetValue(rate),
                    Listen = parsed.GetValue(listen),
                    MaxPods = parsed.GetValue(maxPods),
                    HasKubernetes = !parsed.GetValue(noKubernetes),
                    Environment = Variables(parsed.GetValue(environment)!),
                    IpamdPath = parsed.GetValue(noIpamd) ? null : parsed.GetValue(ipamd) ?? DefaultIpamd(context, chosen),
                    PluginPath = parsed.GetValue(plugin) ?? context.FindBeside("vpc-cni"),
                };
                if (options.Validate() is { Count: > 0 } problems)
                    throw new LabException(string.Join('\n', problems));
                return parsed.GetValue(detach)
                    ? Background.StartAsync(context, parsed, options, cancellationToken)
                    : RunAsync(context, parsed, options, parsed.GetValue(keep), cancellationToken);
            },
            cloud,
            nodes,
            type,
            vpc,
            family,
            vpcIpv6,
            subnets,
            podSubnets,
            podCidrs,
            mayForward,
            scaleSet,
            operation,
            latency,
            attach,
            primaryIndex,
            rate,
            listen,
            environment,
            ipamd,
            plugin,
            noIpamd,
            noKubernetes,
            maxPods,
            keep,
            detach
        );
    }

    /// <summary>The option <c>--family</c>, which the demo has too.</summary>
    public static Option<LabFamily> FamilyOption() =>
        new("--family")
        {
            Description = "Address family of the pods: ipv4, ipv6 or dual; ipv6 and dual give the VPC and its subnets IPv6 ranges",
            CustomParser = ParseFamily,
            DefaultValueFactory = _ => LabFamily.Ipv4,
        };

    /// <summary>Runs the lab until cancelled (Ctrl-C, SIGTERM).</summary>
    private static async Task<int> RunAsync(
        CliContext context,
        ParseResult parsed,
        LabOptions options,
        bool keep,
        CancellationToken cancellationToken
    )
    {
        var output = parsed.InvocationConfiguration.Output;
        using var logging = new LineLogging(parsed.InvocationConfiguration.Error, context.Time);
        var started = context.Time.GetTimestamp();
        await using var lab = await VpcLab.BuildAsync(options, context.Time, logging, cancellationToken);
        await using var control = await ControlServer.StartAsync(lab, context.Time, logging, cancellationToken);
        var problem = await WaitUntilReadyAsync(lab, keep, cancellationToken);
        if (problem is not null)
            await parsed.InvocationConfiguration.Error.WriteLineAsync(KeptMessage(lab.Name, lab.Paths, problem));
        else
            await output.WriteLineAsync($"lab '{options.Name}' is ready after {context.Time.GetElapsedTime(started).TotalSeconds:F1} s");
        await StatusTable.WriteAsync(output, await lab.StatusAsync(cancellationToken));
        if (options.Listen is { } listen)
        {
            foreach (var hint in lab.Cloud.ClientHints(listen))
                await output.WriteLineAsync(hint);
        }

        if (options.HasKubernetes)
        {
            await output.WriteLineAsync(
                options.Listen is null
                    ? $"For kubectl: vpc-lab exec node-1 -- kubectl --kubeconfig {lab.Paths.Kubeconfig} get nodes (with --listen, "
                        + "kubectl also works outside the nodes)"
                    : $"For kubectl: KUBECONFIG={lab.Paths.Kubeconfig}"
            );
        }

        await output.WriteLineAsync("Ctrl-C stops the lab.");
        await output.FlushAsync(cancellationToken);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (cancellationToken.Register(ended.SetResult))
            await ended.Task;
        await output.WriteLineAsync($"removing lab '{options.Name}'");
        return problem is null ? 0 : 1;
    }

    /// <summary>Message about a lab that is kept although it is not ready.</summary>
    internal static string KeptMessage(string name, LabPaths paths, string problem) =>
        $"vpc-lab up: lab '{name}' is not ready, and is kept for inspection: {problem}\n"
        + $"Its files are in {paths.Folder}; vpc-lab status, exec and restart-ipamd work. Remove it with: vpc-lab down --name {name}";

    /// <summary>Waits until the lab is ready. Returns null when it is, or the reason when it is not and is to be kept.</summary>
    /// <exception cref="LabException">The lab is not ready and is not to be kept.</exception>
    private static async Task<string?> WaitUntilReadyAsync(VpcLab lab, bool keep, CancellationToken cancellationToken)
    {
        try
        {
            await lab.WaitUntilReadyAsync(cancellationToken);
            return null;
        }
        catch (LabException failure)
        {
            if (!keep)
                throw new LabException($"{failure.Message}\nThe lab is removed; with --keep it stays for inspection.", failure);
            lab.MarkKept(failure.Message);
            return failure.Message;
        }
    }

    private static Dictionary<string, string> Variables(IReadOnlyList<string> pairs)
    {
        var variables = new Dictionary<string, string>();
        foreach (var pair in pairs)
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1)
                throw new LabException($"--env {pair}: expected NAME=VALUE");
            variables[pair[..equals]] = pair[(equals + 1)..];
        }

        return variables;
    }

    private static List<int> ParseNodes(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        var counts = new List<int>();
        foreach (var part in text.Split(','))
        {
            if (!int.TryParse(part, out var count))
                result.AddError($"--nodes {text}: expected a number, or numbers for each subnet: 2,1");
            counts.Add(count);
        }

        return counts;
    }

    private static IPNetwork ParseNetwork(ArgumentResult result) => ParseNetwork(result.Tokens[0].Value, result) ?? default;

    private static IPNetwork? ParseNetwork(string text, ArgumentResult result)
    {
        if (IPNetwork.TryParse(text, out var network))
            return network;
        result.AddError($"'{text}' is not a network: expected ADDRESS/LENGTH without host bits, such as 10.0.0.0/16");
        return null;
    }

    /// <summary>The daemon next to this program. On clouds other than AWS, a lab has daemons only if the user asks for them.</summary>
    private static string? DefaultIpamd(CliContext context, LabCloud cloud) =>
        cloud != LabCloud.Aws
            ? null
            : context.FindBeside("ipamd")
                ?? throw new LabException("there is no ipamd next to vpc-lab: build it (make build), set --ipamd PATH, or use --no-ipamd");

    private static LabCloud ParseCloud(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        foreach (var cloud in Enum.GetValues<LabCloud>())
        {
            if (LabOptions.NameOf(cloud) == text)
                return cloud;
        }

        result.AddError($"--cloud {text}: expected {string.Join(", ", Enum.GetValues<LabCloud>().Select(LabOptions.NameOf))}");
        return default;
    }

    private static LabFamily ParseFamily(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        switch (text)
        {
            case "ipv4":
                return LabFamily.Ipv4;
            case "ipv6":
                return LabFamily.Ipv6;
            case "dual":
                return LabFamily.Dual;
            default:
                result.AddError($"--family {text}: expected ipv4, ipv6 or dual");
                return default;
        }
    }

    private static IPEndPoint? ParseEndPoint(ArgumentResult result)
    {
        if (IPEndPoint.TryParse(result.Tokens[0].Value, out var endPoint) && endPoint.Port > 0)
            return endPoint;
        result.AddError($"--listen {result.Tokens[0].Value}: expected 127.0.0.1:PORT");
        return null;
    }
}
