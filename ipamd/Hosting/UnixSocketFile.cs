// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;

namespace VpcCni.Ipamd.Hosting;

/// <summary>The file of a Unix socket that is about to be listened on.</summary>
internal static class UnixSocketFile
{
    /// <summary>Makes its folder, and removes the file when nobody listens on it, which is what a crash leaves.</summary>
    /// <param name="path">Where.</param>
    /// <param name="inUse">What to tell when somebody answers there.</param>
    /// <exception cref="IOException">Somebody listens on it, or the file cannot be removed.</exception>
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
                // Nobody listens.
            }
        }

        File.Delete(path);
    }
}
