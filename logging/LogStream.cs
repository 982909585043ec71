// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.Logging;

/// <summary>
/// Writes lines to standard output or standard error. Waits once, for <see cref="Patience"/>, for a pipe that is not read; from then on it
/// drops and counts lines until there is room. Not thread-safe.
/// </summary>
public sealed class LogStream(int descriptor)
{
    /// <summary>PIPE_BUF: the number of bytes that poll(2) guarantees can be written without blocking.</summary>
    private const int Piece = 4096;

    private bool _isStuck;

    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(1);

    /// <summary>Number of dropped lines.</summary>
    public long Dropped { get; private set; }

    public void Write(ReadOnlySpan<byte> line)
    {
        using var stream = new SafeFileHandle(descriptor, ownsHandle: false);
        while (!line.IsEmpty)
        {
            var piece = line[..Math.Min(line.Length, Piece)];
            var patience = _isStuck ? 0 : (int)Patience.TotalMilliseconds;
            var isWritable = FileCalls.Wait(descriptor, FileCalls.POLLOUT, patience);
            if (!isWritable || FileCalls.Write(stream, piece, out var written) != 0)
            {
                _isStuck = true;
                Dropped++;
                return;
            }
            _isStuck = false;
            line = line[written..];
        }
    }
}
