// SPDX-License-Identifier: Apache-2.0
using System.Net;
using Microsoft.AspNetCore.Connections;

namespace VpcCni.Ipamd.Hosting.Http;

/// <summary>
/// Limits the connections of one client address and closes further ones without an answer. It runs after the limit of all connections,
/// which also bounds the number of addresses. Clients of a Unix socket have no address and are not counted.
/// </summary>
/// <param name="max">Maximum number of connections of one address.</param>
internal sealed class ClientLimit(int max)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, int> _open = [];

    /// <summary>Kestrel connection middleware.</summary>
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
            if (open >= max)
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
