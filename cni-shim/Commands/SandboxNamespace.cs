// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;
using VpcCni.Netlink;

namespace VpcCni.Shim.Commands;

/// <summary>The network namespace behind CNI_NETNS, as ADD and CHECK (which need it) and DEL (which does not) see it.</summary>
internal static class SandboxNamespace
{
    /// <summary>
    /// Fails with code 4, whose message names the variable. Code 3 ("container unknown") would tell the runtime that no cleanup is needed,
    /// which is wrong for an address that an earlier call reserved; and the reference library's code 8 means the plugin's own namespace.
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

    /// <summary>Null if the namespace is not given, is gone, or is the host's: then nothing in it is the pod's.</summary>
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
    /// After the wiring: a namespace that was deleted meanwhile lives on by our own reference only, and would take the veth with it and
    /// leave the rules.
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
