// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using VpcCni.Ipamd.HostNetwork;

namespace VpcCni.Simulation;

/// <summary>The shipping host network on the model's kernel.</summary>
internal static class ModelHost
{
    /// <summary>AWS_VPC_K8S_CNI_VETHPREFIX of the model's node.</summary>
    public const string VethPrefix = "eni";

    /// <param name="kernel">Outlives the daemon.</param>
    /// <param name="run">The daemon.</param>
    /// <param name="time">The daemon's clock.</param>
    /// <param name="loggers">The daemon's log.</param>
    /// <param name="onOperation">See <see cref="ModelHostKernel.OnOperation"/>; null for no faults.</param>
    public static KernelHostNetwork Open(
        ModelKernel kernel,
        DaemonRun run,
        TimeProvider time,
        ILoggerFactory loggers,
        Action<string>? onOperation = null
    ) =>
        new(
            new ModelHostKernel(kernel, run, KernelActor.Pool) { OnOperation = onOperation ?? (_ => { }) },
            VethPrefix,
            time,
            loggers.CreateLogger<KernelHostNetwork>()
        );
}
