// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>Reads lines of bounded length from a stream, as they arrive.</summary>
internal static class Lines
{
    private const int BufferBytes = 16 * 1024;

    /// <summary>
    /// Returns each non-blank line without its terminator. A line is valid until the next one is requested. An unterminated last line is
    /// dropped.
    /// </summary>
    /// <exception cref="HttpRequestException">A line is longer than <paramref name="maxBytes"/>.</exception>
    public static async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        Stream stream,
        int maxBytes,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: BufferBytes, leaveOpen: true));
        try
        {
            while (true)
            {
                var result = await reader.ReadAsync(cancellationToken);
                var rest = result.Buffer;
                while (rest.PositionOf((byte)'\n') is { } end)
                {
                    var line = rest.Slice(0, end);
                    rest = rest.Slice(rest.GetPosition(1, end));
                    var memory = line.IsSingleSegment ? line.First : line.ToArray();
                    if (!memory.Span.Trim(" \r\t"u8).IsEmpty)
                        yield return memory;
                }

                if (rest.Length >= maxBytes)
                    throw new HttpRequestException(
                        HttpRequestError.ConfigurationLimitExceeded,
                        $"a line of a watch has more than {maxBytes} bytes"
                    );
                reader.AdvanceTo(rest.Start, rest.End);
                if (result.IsCompleted)
                    yield break;
            }
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }
}
