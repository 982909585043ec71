// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Shim.Commands;

/// <summary>Opens the network namespace of CNI_NETNS: required for ADD and CHECK, optional for DEL.</summary>
internal static class SandboxNamespace
{
    /// <summary>
    /// Fails with code 4, whose message names the variable. Code 3 ("container unknown") would mean that no clean-up is needed, which is
    /// wrong if an earlier call reserved an address. The reference library's code 8 means the plugin's own namespace.
    /// </summary>
    public static NetworkNamespace Open(Invocation invocation, NetworkNamespace own)
    {
        NetworkNamespace sandbox;
        try
        {
            sandbox = NetworkNamespace.Open(invocation.Netns);
        }
        catch (NetworkNamespaceException exception)
        {
            throw new CniException(CniErrorCode.InvalidEnvironment, $"invalid environment: CNI_NETNS: {exception.Message}", "", exception);
        }
        if (sandbox.Identity != own.Identity || invocation.AllowOwnNamespace)
            return sandbox;
        sandbox.Dispose();
        throw new CniException(
            CniErrorCode.InvalidNamespace,
            $"CNI_NETNS: {invocation.Netns} is the namespace of the plugin itself, expected that of a pod"
        );
    }

    /// <summary>Returns null if the namespace is not given, is gone, or is the host's.</summary>
    public static NetworkNamespace? TryOpen(Invocation invocation, NetworkNamespace own, PluginLog log)
    {
        if (invocation.Netns.Length == 0)
            return null;
        try
        {
            var sandbox = NetworkNamespace.Open(invocation.Netns);
            if (sandbox.Identity != own.Identity || invocation.AllowOwnNamespace)
                return sandbox;
            log.Warn("CNI_NETNS is the namespace of the plugin itself, nothing in it is touched", (FieldNames.Netns, invocation.Netns));
            sandbox.Dispose();
        }
        catch (NetworkNamespaceException exception)
        {
            log.Debug("the pod's namespace is gone", (FieldNames.Error, exception.Message));
        }
        return null;
    }

    /// <summary>
    /// Checks after the wiring that the path still leads to the namespace. One that was deleted meanwhile exists only by this process's
    /// reference; its veth would go with the process, and its rules would stay.
    /// </summary>
    public static void CheckUnchanged(Invocation invocation, NetworkNamespace sandbox)
    {
        try
        {
            using var now = NetworkNamespace.Open(invocation.Netns);
            if (now.Identity == sandbox.Identity)
                return;
        }
        catch (NetworkNamespaceException exception)
        {
            throw new CniException(
                CniErrorCode.WiringFailed,
                $"the pod's namespace {invocation.Netns} vanished during the ADD",
                exception.Message,
                exception
            );
        }
        throw new CniException(
            CniErrorCode.WiringFailed,
            $"the pod's namespace {invocation.Netns} was replaced by another one during the ADD"
        );
    }
}
