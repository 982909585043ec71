// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;

namespace VpcCni.Ipamd.Hosting;

/// <summary>Prepares the path of a Unix socket for listening.</summary>
internal static class UnixSocketFile
{
    /// <summary>Creates the folder, and deletes a stale socket file, as a crash leaves.</summary>
    /// <param name="path">Path of the socket.</param>
    /// <param name="inUse">Message of the exception if the socket is in use.</param>
    /// <exception cref="IOException">A process listens on the socket, or the file cannot be deleted.</exception>
    public static void Prepare(string path, string inUse)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        if (!File.Exists(path))
            return;
        using (var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            try
            {
                probe.Connect(new UnixDomainSocketEndPoint(path));
                throw new IOException(inUse);
            }
            catch (SocketException exception)
                when (exception.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
            {
                // No process listens.
            }
        }

        File.Delete(path);
    }
}
