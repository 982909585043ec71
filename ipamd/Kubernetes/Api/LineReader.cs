// SPDX-License-Identifier: Apache-2.0
using System.Buffers;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>Lines of a stream, in a buffer that grows with the longest one up to a limit and is given back between long ones.</summary>
internal sealed class LineReader(Stream stream, int limit) : IDisposable
{
    private const int SmallBuffer = 8 * 1024;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(SmallBuffer);
    private int _start;
    private int _end;
    private int _searched;
    private bool _ended;

    /// <summary>The next line that is not empty, without its end; null at the end of the stream. It is valid until the next call. A last line that was cut off is none.</summary>
    /// <exception cref="HttpRequestException">The line is longer than the limit.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var found = _buffer.AsSpan(_searched, _end - _searched).IndexOf((byte)'\n');
            if (found >= 0)
            {
                var line = _buffer.AsMemory(_start, _searched + found - _start);
                _start = _searched += found + 1;
                if (!line.Span.Trim(" \r\t"u8).IsEmpty) return line;
                continue;
            }

            _searched = _end;
            if (_ended) return null;
            MakeRoom();
            var read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
            _end += read;
            _ended = read == 0;
        }
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        _ended = true;
        _start = _end = _searched = 0;
    }

    private void MakeRoom()
    {
        var length = _end - _start;
        if (length == _buffer.Length)
        {
            if (length >= limit) throw new HttpRequestException(HttpRequestError.ConfigurationLimitExceeded, $"a line of a watch has more than {limit} bytes");
            MoveTo(length * 2);
        }
        else if (length == 0 && _buffer.Length > SmallBuffer * 2)
        {
            MoveTo(SmallBuffer);
        }
        else if (_start > 0)
        {
            _buffer.AsSpan(_start, length).CopyTo(_buffer);
        }
        else
        {
            return;
        }

        (_start, _end, _searched) = (0, length, length);
    }

    private void MoveTo(int size)
    {
        var other = ArrayPool<byte>.Shared.Rent(size);
        _buffer.AsSpan(_start, _end - _start).CopyTo(other);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = other;
    }
}
