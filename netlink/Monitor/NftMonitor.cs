// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using VpcCni.Netlink.Interop;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>
/// Reports that an nftables table, or one of its chains, rules or sets, changed. It does not report what changed: owners compare their
/// tables as a whole. Changes of every program are reported, including those of the subscriber.
/// </summary>
public sealed class NftMonitor : IDisposable
{
    // linux/netfilter/nfnetlink.h
    private const uint NFNLGRP_NFTABLES = 1 << (7 - 1);
    private const int NFNL_SUBSYS_NFTABLES = 10;

    // linux/netfilter/nf_tables.h
    private const int NFT_MSG_NEWGEN = 15;
    private const int NFT_MSG_TRACE = 17;

    /// <summary>
    /// NFTA_TABLE_NAME, and under the same number NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE,
    /// NFTA_OBJ_TABLE, NFTA_FLOWTABLE_TABLE.
    /// </summary>
    private const ushort TableName = 1;

    private readonly MonitorThread _thread;
    private readonly Action<string?> _onTableChanged;

    private NftMonitor(NetlinkSocket socket, Action<string?> onTableChanged, Action<Exception> onError)
    {
        _onTableChanged = onTableChanged;
        _thread = new MonitorThread(socket, "nft-monitor", Deliver, () => onTableChanged(null), onError);
    }

    /// <param name="ns">Namespace to monitor; that of the caller if null.</param>
    /// <param name="onTableChanged">
    /// Called on the thread of the monitor with the name of the table, of any family; with null after notifications were lost, when any
    /// table may have changed.
    /// </param>
    /// <param name="onError">As for <see cref="RouteMonitor.Start"/>.</param>
    public static NftMonitor Start(NetworkNamespace? ns, Action<string?> onTableChanged, Action<Exception> onError)
    {
        ArgumentNullException.ThrowIfNull(onTableChanged);
        ArgumentNullException.ThrowIfNull(onError);
        var monitor = new NftMonitor(ns is null ? Open() : ns.Run(Open), onTableChanged, onError);
        monitor._thread.Start();
        return monitor;

        static NetlinkSocket Open() => NetlinkSocket.Open(NFNLGRP_NFTABLES, Timeout.InfiniteTimeSpan, Libc.NETLINK_NETFILTER);
    }

    /// <summary>The socket failed and <c>onError</c> was called; no further notifications follow.</summary>
    public bool HasEnded => _thread.HasEnded;

    /// <inheritdoc cref="RouteMonitor.Dispose"/>
    public void Dispose() => _thread.Dispose();

    private void Deliver(Message message)
    {
        if (message.Header.Type >> 8 != NFNL_SUBSYS_NFTABLES || (message.Header.Type & 0xff) is NFT_MSG_NEWGEN or NFT_MSG_TRACE)
            return;
        message.Read<NetfilterHeader>(out var attributes);
        while (attributes.TryRead(out var attribute))
        {
            if (attribute.Type != TableName)
                continue;
            _onTableChanged(attribute.AsString());
            return;
        }
    }

    /// <summary>struct nfgenmsg, linux/netfilter/nfnetlink.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct NetfilterHeader
    {
        public byte Family; // nfgen_family
        public byte Version; // version
        public ushort ResourceId; // res_id
    }
}
