// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.AspNetCore.Connections;

namespace VpcCni.Ipamd.Hosting.Http;

/// <summary>
/// So many connections from one address at once; more are closed without an answer. It stands behind the limit of all connections, so that
/// it counts for no more addresses than that has connections. Clients of a Unix socket have no address and are not counted.
/// </summary>
/// <param name="most">Connections of one address.</param>
internal sealed class ClientLimit(int most)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, int> _open = [];

    /// <summary>A part of Kestrel's way to a connection.</summary>
    public ConnectionDelegate Before(ConnectionDelegate next) =>
        async connection =>
        {
            if (connection.RemoteEndPoint is not IPEndPoint { Address: var address })
            {
                await next(connection);
                return;
            }

            if (!TryEnter(address))
            {
                connection.Abort();
                return;
            }

            try
            {
                await next(connection);
            }
            finally
            {
                Leave(address);
            }
        };

    private bool TryEnter(IPAddress address)
    {
        lock (_lock)
        {
            var open = _open.GetValueOrDefault(address);
            if (open >= most)
                return false;
            _open[address] = open + 1;
            return true;
        }
    }

    private void Leave(IPAddress address)
    {
        lock (_lock)
        {
            if (_open[address] > 1)
                _open[address]--;
            else
                _open.Remove(address);
        }
    }
}
