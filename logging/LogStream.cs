// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>
/// Standard output or standard error as a target of lines. A pipe that nobody reads is waited for once, for <see cref="Patience"/>; from
/// then on lines are dropped and counted until there is room again. Not thread-safe.
/// </summary>
public sealed class LogStream(int descriptor)
{
    /// <summary>Of PIPE_BUF: poll(2) says that so much can be written without waiting.</summary>
    private const int Piece = 4096;

    private bool _isStuck;

    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(1);

    /// <summary>Lines that were dropped.</summary>
    public long Dropped { get; private set; }

    public void Write(ReadOnlySpan<byte> line)
    {
        while (!line.IsEmpty)
        {
            var piece = line[..Math.Min(line.Length, Piece)];
            var isWritable = LogCalls.WaitWritable(descriptor, _isStuck ? TimeSpan.Zero : Patience);
            if (!isWritable || LogCalls.WriteStandard(descriptor, piece, out var written) != 0)
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
