// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Hosting;

namespace VpcCni.Lab.Cli;

/// <summary><c>vpc-lab fault</c>: makes EC2 fail, slow, stale or throttled, in a running lab.</summary>
internal static class FaultCommand
{
    public static Command Create(CliContext context)
    {
        var command = new Command("fault", "Make EC2 or the Kubernetes API fail or slow")
        {
            CreateError(context),
            CreateTiming(context),
            CreateClear(context),
            KubeFaultCommand.Create(context),
        };
        return command;
    }

    private static Command CreateError(CliContext context)
    {
        var operation = new Argument<string>("OPERATION") { Description = "E.g. AttachNetworkInterface; * for all" };
        var code = new Argument<string>("CODE")
        {
            Description = "EC2's error code, e.g. RequestLimitExceeded, InsufficientFreeAddressesInSubnet, InternalError",
        };
        var times = new Option<int>("--times") { Description = "How often; 0 for ever", DefaultValueFactory = _ => 1 };
        var message = new Option<string?>("--message") { Description = "The error's text" };
        var after = new Option<bool>("--after-effect") { Description = "The call takes effect and only its answer is lost" };
        var anyCode = new Option<bool>("--any-code") { Description = "Also a code that EC2 does not document" };
        return context.Make(
            "error",
            "Answer the next calls of an operation with an error",
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
                    $"armed: {fault.Operation} answers {fault.Code} {(fault.Times is { } left ? $"{left} times" : "for ever")}"
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
        var describe = new Option<double?>("--describe-lag") { Description = "ms by which Describe calls are behind" };
        var metadata = new Option<double?>("--metadata-lag") { Description = "ms by which the instance metadata is behind" };
        var rate = new Option<double?>("--rate") { Description = "calls per second before throttling; 0 for no limit" };
        return context.Make(
            "timing",
            "Change how slow, how stale and how patient EC2 is",
            async (parsed, cancellationToken) =>
            {
                using var lab = context.Connect(parsed);
                await lab.RetimeAsync(
                    new TimingSpec
                    {
                        AttachMilliseconds = parsed.GetValue(attach),
                        DetachMilliseconds = parsed.GetValue(detach),
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
            describe,
            metadata,
            rate
        );
    }

    private static Command CreateClear(CliContext context)
    {
        var operation = new Argument<string?>("OPERATION") { Description = "Only faults of this one", Arity = ArgumentArity.ZeroOrOne };
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
