// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.WarmPool;

/// <summary>
/// Addresses that the kernel routes to pods of which there is no record (the checkpoint was lost or unusable): held while the kernel shows them, given back when it does not.
/// </summary>
internal sealed partial class RecoveredAddresses(IpLedger ledger, IHostNetwork host, TimeProvider time, ILogger<RecoveredAddresses> logger)
{
    /// <summary>Holds what is in use and unrecorded. Before the first address is handed out.</summary>
    public void Hold()
    {
        foreach (var attachment in ledger.Recover(host.PodRoutes().Select(route => (route.HostInterface, route.Address)), time.GetUtcNow()))
        {
            Log.Recovered(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
        }
    }

    /// <summary>Gives back what is no longer in use. Returns whether anything was.</summary>
    public bool Release()
    {
        var recovered = ledger.Attachments().Where(attachment => attachment.IsRecovered).ToArray();
        if (recovered.Length == 0) return false;
        var inUse = host.PodRoutes().Select(route => route.Address).ToHashSet();
        var released = false;
        foreach (var attachment in recovered.Where(attachment => attachment.Addresses.All(held => !inUse.Contains(held.Address))))
        {
            ledger.Release(attachment.Key, time.GetUtcNow());
            Log.Released(logger, attachment.Addresses[0].Address, attachment.Key.ContainerId);
            released = true;
        }

        return released;
    }

    private static partial class Log
    {
        [LoggerMessage(60, LogLevel.Warning, "{Address} is routed to {HostInterface} but no record of its pod survived; held until the route is gone")]
        public static partial void Recovered(ILogger logger, System.Net.IPAddress address, string hostInterface);

        [LoggerMessage(61, LogLevel.Information, "{Address} is no longer routed to {HostInterface}; it cools")]
        public static partial void Released(ILogger logger, System.Net.IPAddress address, string hostInterface);
    }
}
