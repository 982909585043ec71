// SPDX-License-Identifier: Apache-2.0
using VpcCni.Netlink;

namespace VpcCni.Lab.Fabric;

/// <summary>
/// Writes kernel parameters of a network namespace. <c>/proc/sys/net</c> shows the namespace of the calling thread, so this uses
/// <see cref="NetworkNamespace.Run(Action)"/> and cannot change the machine's parameters.
/// </summary>
internal static class Sysctl
{
    /// <summary>Sets parameters, given as paths below <c>/proc/sys/net</c> and values.</summary>
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
