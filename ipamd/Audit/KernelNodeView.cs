// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;

namespace VpcCni.Ipamd.Audit;

/// <summary>Reads the node by rtnetlink: in the daemon's namespace and in those of the runtime.</summary>
/// <param name="entersNamespaces">False: never enter namespaces, as without CAP_SYS_ADMIN (for tests).</param>
internal sealed class KernelNodeView(bool entersNamespaces = true) : INodeView
{
    /// <summary>Maximum number of sandboxes: more than any node runs; further ones are not read.</summary>
    private const int MaxSandboxes = 2048;

    public KernelFacts Kernel()
    {
        try
        {
            using var netlink = RouteNetlink.Open();
            List<RouteInfo> routes = [];
            List<RuleInfo> rules = [];
            foreach (var family in IpFamily.All)
            {
                rules.AddRange(netlink.GetRules(family));
                routes.AddRange(netlink.GetRoutes(family));
            }

            return new KernelFacts(netlink.GetLinks(), routes, rules) { Settings = netlink.GetConfigurations(IpFamily.V4) };
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException(exception.Message, exception);
        }
    }

    /// <summary>Reads all namespaces in the folders of the attachments' namespaces; a runtime keeps its namespaces in one folder.</summary>
    public RuntimeFacts Runtime(IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        HashSet<string> folders =
        [
            .. paths
                .Select(Path.GetDirectoryName)
                .OfType<string>()
                .Where(folder => !folder.StartsWith("/proc/", StringComparison.Ordinal) && Directory.Exists(folder)),
        ];
        if (paths.Count > 0 && folders.Count == 0 && !paths.Any(File.Exists))
            throw new HostNetworkException($"the runtime's folder {Path.GetDirectoryName(paths[0])} is not visible to the daemon");
        Dictionary<NamespaceIdentity, SandboxFacts> sandboxes = [];
        using var host = OpenHost();
        // The kernel assigns a namespace number when a link to it is listed.
        _ = host.GetLinks();
        var mayEnter = entersNamespaces;
        // Attachments' paths come first, so that a namespace is listed by the ledger's path.
        foreach (var path in paths.Concat(folders.SelectMany(FilesOf)).Distinct(StringComparer.Ordinal).Take(MaxSandboxes))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Open(path) is not { } sandbox)
                continue;
            using (sandbox)
            {
                if (!sandboxes.ContainsKey(sandbox.Identity) && Read(path, sandbox, host, ref mayEnter) is { } facts)
                    sandboxes.Add(sandbox.Identity, facts);
            }
        }

        return new RuntimeFacts([.. sandboxes.Values], folders);
    }

    private static RouteNetlink OpenHost()
    {
        try
        {
            return RouteNetlink.Open();
        }
        catch (NetlinkException exception)
        {
            throw new HostNetworkException(exception.Message, exception);
        }
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

    /// <summary>Returns null for a file that is not, or no longer, a namespace.</summary>
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

    /// <summary>
    /// Reads a namespace from inside, which needs CAP_SYS_ADMIN, or else by the host's number, which needs only CAP_NET_ADMIN but has no
    /// neighbours. Returns null if it disappears meanwhile.
    /// </summary>
    /// <exception cref="HostNetworkException">The namespace cannot be read either way.</exception>
    private static SandboxFacts? Read(string path, NetworkNamespace sandbox, RouteNetlink host, ref bool mayEnter)
    {
        try
        {
            if (mayEnter)
                return FromWithin(path, sandbox);
        }
        catch (NetworkNamespaceException exception) when (exception.Errno == Errno.EPERM)
        {
            // The same applies to all namespaces.
            mayEnter = false;
        }
        catch (Exception exception) when (exception is NetworkNamespaceException or NetlinkException)
        {
            return null;
        }

        try
        {
            // Without a number, no link of the host leads there, so the namespace is not wired.
            return host.FindNamespaceId(sandbox) is { } number ? ByNumber(path, host, number) : new SandboxFacts(path, [], []);
        }
        catch (NetlinkException exception) when (exception.Errno is Errno.EPERM or Errno.EACCES)
        {
            throw new HostNetworkException(
                "the daemon may not read them (it lacks CAP_NET_ADMIN, or CAP_SYS_ADMIN on this kernel)",
                exception
            );
        }
        catch (NetlinkException)
        {
            return null;
        }
    }

    private static SandboxFacts FromWithin(string path, NetworkNamespace sandbox)
    {
        using var netlink = sandbox.OpenRouteNetlink();
        MacAddress[] gateways =
        [
            .. IpFamily
                .All.SelectMany(family => netlink.GetNeighbours(family))
                .Where(item => item.State.HasFlag(NeighbourState.Permanent))
                .Select(item => item.Mac)
                .OfType<MacAddress>(),
        ];
        return new SandboxFacts(path, AddressesOf(netlink.GetLinks(), family => netlink.GetAddresses(family)), gateways);
    }

    private static SandboxFacts ByNumber(string path, RouteNetlink host, int number) =>
        new(path, AddressesOf(host.GetLinksOf(number), family => host.GetAddressesOf(number, family)), []) { NamespaceId = number };

    private static List<(string Link, IPAddress Address)> AddressesOf(
        IReadOnlyList<LinkInfo> all,
        Func<AddressFamily, IReadOnlyList<AddressInfo>> read
    )
    {
        var links = all.Where(link => !link.Flags.HasFlag(LinkFlags.Loopback)).ToDictionary(link => link.Index, link => link.Name);
        return
        [
            .. IpFamily
                .All.SelectMany(read)
                .Where(item => item.Scope == AddressScope.Global && links.ContainsKey(item.LinkIndex))
                .Select(item => (links[item.LinkIndex], item.Address)),
        ];
    }
}
