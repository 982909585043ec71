// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>The node as it is: rtnetlink in the daemon's namespace, and in those that the runtime keeps.</summary>
internal sealed class KernelNodeView : INodeView
{
    /// <summary>More sandboxes than any node runs; what is beyond is not looked at.</summary>
    private const int MaxSandboxes = 2048;

    public KernelFacts Kernel()
    {
        try
        {
            using var netlink = RouteNetlink.Open();
            List<RouteInfo> routes = [];
            List<RuleInfo> rules = [];
            foreach (var family in new[] { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 })
            {
                rules.AddRange(netlink.GetRules(family));
                routes.AddRange(netlink.GetRoutes(family));
            }

            return new KernelFacts(netlink.GetLinks(), routes, rules) { Settings = netlink.GetConfigurations(AddressFamily.InterNetwork) };
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException(exception.Message, exception);
        }
    }

    /// <summary>All namespaces in the folders in which those of attachments are: a runtime keeps its own in one.</summary>
    public RuntimeFacts Runtime(IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        HashSet<string> folders = [.. paths.Select(Path.GetDirectoryName).OfType<string>().Where(folder => !folder.StartsWith("/proc/", StringComparison.Ordinal) && Directory.Exists(folder))];
        if (paths.Count > 0 && folders.Count == 0 && !paths.Any(File.Exists)) throw new HostNetworkException($"the runtime's folder {Path.GetDirectoryName(paths[0])} cannot be seen from here");
        Dictionary<NamespaceIdentity, SandboxFacts> sandboxes = [];
        // Those that attachments name come first, so that each goes by the name that the ledger has for it.
        foreach (var path in paths.Concat(folders.SelectMany(FilesOf)).Distinct(StringComparer.Ordinal).Take(MaxSandboxes))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Open(path) is not { } sandbox) continue;
            using (sandbox)
            {
                if (!sandboxes.ContainsKey(sandbox.Identity) && Read(path, sandbox) is { } facts) sandboxes.Add(sandbox.Identity, facts);
            }
        }

        return new RuntimeFacts([.. sandboxes.Values], folders);
    }

    private static IEnumerable<string> FilesOf(string folder)
    {
        try
        {
            return Directory.GetFiles(folder).Order(StringComparer.Ordinal);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Null for a file that is no namespace, or is none any more.</summary>
    private static NetworkNamespace? Open(string path)
    {
        try
        {
            return NetworkNamespace.Open(path);
        }
        catch (NetworkNamespaceException)
        {
            return null;
        }
    }

    /// <summary>Null when it went away meanwhile.</summary>
    /// <exception cref="HostNetworkException">It may not be entered: CAP_SYS_ADMIN is missing, and will be for all.</exception>
    private static SandboxFacts? Read(string path, NetworkNamespace sandbox)
    {
        try
        {
            using var netlink = sandbox.OpenRouteNetlink();
            var links = netlink.GetLinks().Where(link => !link.Flags.HasFlag(LinkFlags.Loopback)).ToDictionary(link => link.Index, link => link.Name);
            List<(string Link, IPAddress Address)> addresses = [];
            foreach (var family in new[] { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 })
            {
                addresses.AddRange(netlink.GetAddresses(family).Where(item => item.Scope == AddressScope.Global && links.ContainsKey(item.LinkIndex)).Select(item => (links[item.LinkIndex], item.Address)));
            }

            MacAddress[] gateways = [.. new[] { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 }
                .SelectMany(family => netlink.GetNeighbours(family)).Where(item => item.State.HasFlag(NeighbourState.Permanent)).Select(item => item.Mac).OfType<MacAddress>()];
            return new SandboxFacts(path, addresses, gateways);
        }
        catch (NetworkNamespaceException exception) when (exception.Errno == Errno.EPERM)
        {
            throw new HostNetworkException("the daemon may not enter them (it lacks CAP_SYS_ADMIN)", exception);
        }
        catch (Exception exception) when (exception is NetworkNamespaceException or NetlinkException)
        {
            return null;
        }
    }
}
