// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Netlink;

namespace VpcCni.Simulation;

/// <summary>
/// A daemon's access to the model's kernel: the port that <see cref="RtnetlinkKernel"/> implements on rtnetlink, with its errors.
/// </summary>
/// <param name="kernel">Outlives the daemon.</param>
/// <param name="run">The daemon.</param>
/// <param name="actor">Whose changes these are: the pool's or the reconciler's.</param>
internal sealed class ModelHostKernel(ModelKernel kernel, DaemonRun run, KernelActor actor) : IHostKernel
{
    /// <summary>
    /// Called before each query and each batch of changes of rtnetlink, and again after a batch; not for reports, namespaces and kernel
    /// parameters. May throw <see cref="NetlinkException"/>, or kill the daemon.
    /// </summary>
    public Action<string> OnOperation { get; init; } = _ => { };

    public IReadOnlyList<LinkInfo> Links()
    {
        Enter(nameof(Links));
        return [.. kernel.Links.Values];
    }

    public LinkInfo? FindLink(MacAddress mac)
    {
        Enter(nameof(FindLink));
        return LinkLookup.Of(mac, kernel.Links.Values) switch
        {
            [] => null,
            [var link] => link,
            _ => throw new NetlinkException($"find the link with MAC {mac}", Errno.ENOTUNIQ, "several have it"),
        };
    }

    public IReadOnlyList<AddressInfo> Addresses(AddressFamily family, int? linkIndex = null)
    {
        Enter(nameof(Addresses));
        return
        [
            .. kernel.Addresses.Where(item =>
                (family == AddressFamily.Unspecified || item.Address.AddressFamily == family)
                && (linkIndex is null || item.LinkIndex == linkIndex)
            ),
        ];
    }

    public IReadOnlyList<RouteInfo> Routes(AddressFamily family, int table)
    {
        Enter(nameof(Routes));
        return [.. kernel.Routes(family, table)];
    }

    public IReadOnlyList<RuleInfo> Rules(AddressFamily family)
    {
        Enter(nameof(Rules));
        return [.. kernel.Rules(family)];
    }

    public IReadOnlyDictionary<int, LinkConfiguration> Configurations()
    {
        Enter(nameof(Configurations));
        return kernel.Settings.Configurations();
    }

    public void Apply(IReadOnlyList<HostChange> changes, ICollection<int>? unneeded = null)
    {
        Enter(nameof(Apply));
        List<NetlinkFailure> failures = [];
        // One datagram: the kernel carries out all of it, whatever becomes of the sender.
        for (var index = 0; index < changes.Count; index++)
        {
            var error = kernel.Apply(actor, changes[index]);
            if (error == Errno.None)
                continue;
            if (changes[index].Tolerated.Contains(error))
                unneeded?.Add(index);
            else
                failures.Add(new NetlinkFailure(index, changes[index].Description, error, null));
        }

        // An answer that is lost: what took effect is not known.
        Enter("Applied");
        if (failures.Count > 0)
            throw new NetlinkException(failures, changes.Count - failures.Count);
    }

    public IKernelReports Watch(RouteMonitorGroups groups, Action<RouteNotification> onChange, Action<Exception> onError)
    {
        run.CheckAlive();
        return kernel.Watch(run, groups, onChange, null, onError);
    }

    public IKernelReports WatchTables(Action<string?> onChange, Action<Exception> onError)
    {
        run.CheckAlive();
        return kernel.Watch(run, RouteMonitorGroups.None, null, onChange, onError);
    }

    public MacAddress? GatewaySeenBy(string netnsPath, LinkInfo hostLink)
    {
        run.CheckAlive();
        return kernel.Namespaces.GetValueOrDefault(netnsPath);
    }

    public NamespacePresence NamespaceAt(string path)
    {
        run.CheckAlive();
        return path.Length == 0 ? NamespacePresence.Unknown
            : kernel.Namespaces.ContainsKey(path) ? NamespacePresence.Present
            : NamespacePresence.Gone;
    }

    public string? Read(string name)
    {
        run.CheckAlive();
        return kernel.Settings.Read(name);
    }

    public bool Write(string name, string value)
    {
        run.CheckAlive();
        return kernel.Settings.Write(name, value);
    }

    public void Dispose()
    {
        // Holds nothing of the kernel's.
    }

    private void Enter(string operation)
    {
        run.CheckAlive();
        OnOperation(operation);
        run.CheckAlive();
    }
}
