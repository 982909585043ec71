// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Install;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Options;

/// <summary>Source of the defaults in <see cref="OptionTable"/>: instances with the initial values of the option records.</summary>
internal static class OptionDefaults
{
    public static readonly IpamdOptions Daemon = new();
    public static readonly PoolTargets Targets = new();
    public static readonly ClusterOptions Cluster = new();
    public static readonly HostNetworkOptions Host = new();
    public static readonly InstallOptions Install = new();
}
