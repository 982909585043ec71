// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab fault</c>: injects errors, latency, stale reads and throttling into the cloud's API of a running lab.</summary>
internal static class FaultCommand
{
    public static Command Create(CliContext context)
    {
        var command = new Command("fault", "Inject faults into the cloud's API or the Kubernetes API")
        {
            CreateError(context),
            CreateTiming(context),
            CreateIpv6Range(context),
            CreateClear(context),
            KubeFaultCommand.Create(context),
        };
        return command;
    }

    private static Command CreateError(CliContext context)
    {
        var operation = new Argument<string>("OPERATION")
        {
            Description =
                "For example AttachNetworkInterface (AWS), instances.updateNetworkInterface (GCE) or networkInterfaces.createOrUpdate "
                + "(Azure); * for all",
        };
        var code = new Argument<string>("CODE")
        {
            Description =
                "The cloud's error code, for example RequestLimitExceeded or InsufficientFreeAddressesInSubnet; on GCE a reason "
                + "(rateLimitExceeded) or an operation's error (IP_SPACE_EXHAUSTED); on Azure operation:CODE fails the operation",
        };
        var times = new Option<int>("--times") { Description = "Number of calls; 0 for no limit", DefaultValueFactory = _ => 1 };
        var message = new Option<string?>("--message") { Description = "The error's message" };
        var after = new Option<bool>("--after-effect") { Description = "Let the call take effect, and then return the error" };
        var anyCode = new Option<bool>("--any-code") { Description = "Accept a code that the cloud does not document" };
        return context.Make(
            "error",
            "Return an error to the next calls of an operation",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                var fault = new FaultSpec
                {
                    Operation = parsed.GetValue(operation)!,
                    Code = parsed.GetValue(code)!,
                    Message = parsed.GetValue(message),
                    Times = parsed.GetValue(times) is var count && count == 0 ? null : count,
                    AfterEffect = parsed.GetValue(after),
                    AnyCode = parsed.GetValue(anyCode),
                };
                await lab.InjectAsync(fault, cancellationToken);
                await parsed.InvocationConfiguration.Output.WriteLineAsync(
                    $"armed: {fault.Operation} returns {fault.Code} {(fault.Times is { } left ? $"{left} times" : "until cleared")}"
                );
                return 0;
            },
            operation,
            code,
            times,
            message,
            after,
            anyCode
        );
    }

    private static Command CreateTiming(CliContext context)
    {
        var attach = new Option<double?>("--attach") { Description = "ms until an attachment is complete" };
        var detach = new Option<double?>("--detach-latency") { Description = "ms until a detachment is complete" };
        var operation = new Option<double?>("--operation") { Description = "ms until an operation is done; not on AWS" };
        var describe = new Option<double?>("--describe-lag") { Description = "ms by which the results of Describe calls are stale" };
        var metadata = new Option<double?>("--metadata-lag") { Description = "ms by which the instance metadata is stale" };
        var rate = new Option<double?>("--rate") { Description = "calls per second before throttling; 0 for no limit" };
        return context.Make(
            "timing",
            "Change the cloud's latency, staleness and rate limit",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                await lab.SetTimingAsync(
                    new TimingSpec
                    {
                        AttachMilliseconds = parsed.GetValue(attach),
                        DetachMilliseconds = parsed.GetValue(detach),
                        OperationMilliseconds = parsed.GetValue(operation),
                        DescribeLagMilliseconds = parsed.GetValue(describe),
                        MetadataLagMilliseconds = parsed.GetValue(metadata),
                        RatePerSecond = parsed.GetValue(rate),
                    },
                    cancellationToken
                );
                return 0;
            },
            attach,
            detach,
            operation,
            describe,
            metadata,
            rate
        );
    }

    private static Command CreateIpv6Range(CliContext context)
    {
        var prefixes = new Argument<int>("PREFIXES") { Description = "Number of /80s that the subnets can assign; 0 exhausts them" };
        var subnet = new Option<string?>("--subnet") { Description = "Id of the subnet (default: all with an IPv6 range)" };
        return context.Make(
            "ipv6-range",
            "Limit the IPv6 ranges of subnets, so that they can be exhausted",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                await lab.LimitIpv6RangesAsync(new Ipv6RangeSpec(parsed.GetValue(prefixes), parsed.GetValue(subnet)), cancellationToken);
                return 0;
            },
            prefixes,
            subnet
        );
    }

    private static Command CreateClear(CliContext context)
    {
        var operation = new Argument<string?>("OPERATION")
        {
            Description = "Clear only this operation's faults",
            Arity = ArgumentArity.ZeroOrOne,
        };
        return context.Make(
            "clear",
            "Disarm faults",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                await lab.ClearFaultsAsync(parsed.GetValue(operation), cancellationToken);
                return 0;
            },
            operation
        );
    }
}
