// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Install;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Planning;

namespace VpcCni.Ipamd.Options;

/// <summary>Where the table's defaults come from: the initializers of the records that hold the values.</summary>
internal static class OptionDefaults
{
    public static readonly IpamdOptions Daemon = new();
    public static readonly PoolTargets Targets = new();
    public static readonly ClusterOptions Cluster = new();
    public static readonly HostNetworkOptions Host = new();
    public static readonly InstallOptions Install = new();
}
