// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// Writes kernel parameters of one network namespace. <c>/proc/sys/net</c> shows the namespace of the thread that looks, hence
/// <see cref="NetworkNamespace.Run(Action)"/>; the machine's own parameters are out of reach from there.
/// </summary>
internal static class Sysctl
{
    /// <summary>Sets parameters, each given as its path below <c>/proc/sys/net</c> and its value.</summary>
    public static void Write(NetworkNamespace network, params IReadOnlyList<(string Path, string Value)> parameters) =>
        network.Run(() =>
        {
            foreach (var (path, value) in parameters)
            {
                try
                {
                    File.WriteAllText("/proc/sys/net/" + path, value);
                }
                catch (IOException error)
                {
                    throw new FabricException($"cannot set net/{path} = {value} in a namespace of the lab: {error.Message}", error);
                }
            }
        });
}
