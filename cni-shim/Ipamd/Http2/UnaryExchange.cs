// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;

namespace VpcCni.Shim.Ipamd.Http2;

/// <summary>
/// One HTTP/2 connection with one stream that carries one request and its response (RFC 9113): everything is sent that the peer's windows
/// allow, then frames are read until the stream ends. Nothing else is concurrent, so there are no threads, queues or locks.
/// </summary>
/// <param name="send">Writes all bytes, or throws.</param>
/// <param name="receive">Reads at least one byte; 0 means that the peer closed the connection.</param>
internal sealed class UnaryExchange(Action<ReadOnlyMemory<byte>> send, Func<Memory<byte>, int> receive)
{
    private const int FrameHeaderBytes = 9;

    /// <summary>SETTINGS_MAX_FRAME_SIZE that neither side changes, both ways.</summary>
    private const int MaxFrameBytes = 16384;

    private const int DefaultWindowBytes = 65535;
    private const int MaxHeaderBlockBytes = 64 * 1024;
    private const int RequestStream = 1;

    private readonly ArrayBufferWriter<byte> _body = new();
    private readonly ArrayBufferWriter<byte> _headerBlock = new();
    private readonly byte[] _frame = new byte[FrameHeaderBytes + MaxFrameBytes];
    private long _connectionWindow = DefaultWindowBytes;
    private long _streamWindow = DefaultWindowBytes;
    private long _peerInitialWindow = DefaultWindowBytes;
    private int _buffered;
    private bool _endAfterHeaders;
    private bool _inHeaders;
    private bool _greeted;
    private bool _ended;

    private enum FrameType : byte
    {
        Data = 0,
        Headers = 1,
        Priority = 2,
        ResetStream = 3,
        Settings = 4,
        PushPromise = 5,
        Ping = 6,
        GoAway = 7,
        WindowUpdate = 8,
        Continuation = 9,
    }

    /// <summary>Headers and trailers together; a later one of the same name replaces an earlier one.</summary>
    public Dictionary<string, string> Headers { get; } = new(StringComparer.Ordinal);

    /// <summary>The content of the DATA frames.</summary>
    public ReadOnlyMemory<byte> Body => _body.WrittenMemory;

    /// <summary>RST_STREAM or GOAWAY: the error code (RFC 9113, section 7), if that is how the stream ended.</summary>
    public uint? ErrorCode { get; private set; }

    /// <summary>The peer closed the connection before the stream ended.</summary>
    public bool Closed { get; private set; }

    /// <param name="headers">Request headers, pseudo-headers first.</param>
    /// <param name="maxResponseBytes">Bound on the response's body, and the peer's window.</param>
    public void Run(ReadOnlySpan<(string Name, string Value)> headers, ReadOnlyMemory<byte> request, int maxResponseBytes)
    {
        var opening = new ArrayBufferWriter<byte>(512);
        opening.Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8);
        WriteFrameHeader(opening, 18, FrameType.Settings, 0, 0);
        WriteSetting(opening, 0x1, 0); // SETTINGS_HEADER_TABLE_SIZE
        WriteSetting(opening, 0x2, 0); // SETTINGS_ENABLE_PUSH
        WriteSetting(opening, 0x4, (uint)maxResponseBytes); // SETTINGS_INITIAL_WINDOW_SIZE
        WriteFrameHeader(opening, 4, FrameType.WindowUpdate, 0, 0);
        BinaryPrimitives.WriteUInt32BigEndian(opening.GetSpan(4), (uint)maxResponseBytes);
        opening.Advance(4);

        var block = new ArrayBufferWriter<byte>(256);
        foreach (var (name, value) in headers)
            HeaderBlock.Append(block, name, value);
        if (block.WrittenCount > MaxFrameBytes)
            throw new ArgumentException("request headers do not fit one frame", nameof(headers));
        WriteFrameHeader(
            opening,
            block.WrittenCount,
            FrameType.Headers,
            0x4 /* END_HEADERS */
            ,
            RequestStream
        );
        opening.Write(block.WrittenSpan);

        // Does not wait for the peer's preface: a client may send at once (RFC 9113, 3.4), so the whole call is one write and one or two
        // reads.
        AppendData(opening, ref request, first: true);
        send(opening.WrittenMemory);

        while (!_ended)
        {
            if (!ReadFrame(maxResponseBytes))
                return;
            if (request.IsEmpty || Math.Min(_connectionWindow, _streamWindow) <= 0)
                continue;
            opening.ResetWrittenCount();
            AppendData(opening, ref request, first: false);
            send(opening.WrittenMemory);
        }
    }

    /// <summary>DATA frames for as much of the request as both windows allow; END_STREAM on the last one.</summary>
    private void AppendData(ArrayBufferWriter<byte> output, ref ReadOnlyMemory<byte> request, bool first)
    {
        var empty = first && request.IsEmpty;
        while (empty || !request.IsEmpty)
        {
            var length = (int)Math.Min(Math.Min(_connectionWindow, _streamWindow), Math.Min(request.Length, MaxFrameBytes));
            if (length <= 0 && !empty)
                return;
            WriteFrameHeader(
                output,
                length,
                FrameType.Data,
                length == request.Length
                    ? (byte)0x1 /* END_STREAM */
                    : (byte)0,
                RequestStream
            );
            output.Write(request.Span[..length]);
            request = request[length..];
            _connectionWindow -= length;
            _streamWindow -= length;
            empty = false;
        }
    }

    /// <summary>Returns false at the end of the connection.</summary>
    private bool ReadFrame(int maxResponseBytes)
    {
        if (!Fill(FrameHeaderBytes))
            return false;
        var length = (_frame[0] << 16) | (_frame[1] << 8) | _frame[2];
        var type = (FrameType)_frame[3];
        var flags = _frame[4];
        var stream = (int)(BinaryPrimitives.ReadUInt32BigEndian(_frame.AsSpan(5)) & 0x7fffffff);
        // A server that stops while it accepts the connection may send GOAWAY first.
        if (!_greeted && type is not (FrameType.Settings or FrameType.GoAway))
            throw new Http2Exception("the peer does not begin with SETTINGS: it does not speak HTTP/2");
        if (length > MaxFrameBytes)
            throw new Http2Exception($"a frame of {length} bytes, at most {MaxFrameBytes} are allowed");
        if (!Fill(FrameHeaderBytes + length))
            return false;

        if (_inHeaders != (type == FrameType.Continuation))
            throw new Http2Exception($"a {type} frame where a header block {(_inHeaders ? "goes on" : "has ended")}");
        var payload = _frame.AsSpan(FrameHeaderBytes, length);
        Handle(type, flags, stream, payload, maxResponseBytes);
        // Octets beyond the frame are the beginning of the next one.
        _buffered -= FrameHeaderBytes + length;
        _frame.AsSpan(FrameHeaderBytes + length, _buffered).CopyTo(_frame);
        return true;
    }

    private void Handle(FrameType type, byte flags, int stream, ReadOnlySpan<byte> payload, int maxResponseBytes)
    {
        switch (type)
        {
            case FrameType.Settings when (flags & 0x1) == 0:
                _greeted = true;
                ApplySettings(payload);
                SendFrame(
                    FrameType.Settings,
                    0x1 /* ACK */
                    ,
                    []
                );
                break;
            case FrameType.Ping when (flags & 0x1) == 0:
                SendFrame(
                    FrameType.Ping,
                    0x1 /* ACK */
                    ,
                    payload
                );
                break;
            case FrameType.WindowUpdate when payload.Length == 4:
                var increment = BinaryPrimitives.ReadUInt32BigEndian(payload) & 0x7fffffff;
                if (stream == 0)
                    _connectionWindow += increment;
                else if (stream == RequestStream)
                    _streamWindow += increment;
                break;
            case FrameType.Headers when stream == RequestStream:
                _endAfterHeaders = (flags & 0x1) != 0;
                payload = Unpad(payload, flags);
                if ((flags & 0x20) != 0)
                    payload = payload.Length >= 5 ? payload[5..] : throw Short(type); // priority
                AppendHeaders(payload, flags);
                break;
            case FrameType.Continuation when stream == RequestStream:
                AppendHeaders(payload, flags);
                break;
            case FrameType.Data when stream == RequestStream:
                payload = Unpad(payload, flags);
                if (_body.WrittenCount + payload.Length > maxResponseBytes)
                    throw new Http2Exception($"the response is larger than {maxResponseBytes} bytes");
                _body.Write(payload);
                _ended = (flags & 0x1) != 0;
                break;
            case FrameType.ResetStream when stream == RequestStream:
                ErrorCode = payload.Length == 4 ? BinaryPrimitives.ReadUInt32BigEndian(payload) : throw Short(type);
                _ended = true;
                break;
            case FrameType.GoAway:
                if (payload.Length < 8)
                    throw Short(type);
                // A server that shuts down still answers the streams up to the last one named in GOAWAY.
                if ((BinaryPrimitives.ReadUInt32BigEndian(payload) & 0x7fffffff) >= RequestStream)
                    break;
                // Not processed: handled as a closed connection (RFC 9113, 6.8 and 8.7).
                if (BinaryPrimitives.ReadUInt32BigEndian(payload[4..]) is var error and not 0)
                    ErrorCode = error;
                else
                    Closed = true;
                _ended = true;
                break;
            case FrameType.PushPromise:
                throw new Http2Exception("the peer pushes although we have forbidden it");
            default:
                break; // acknowledgements, PRIORITY, other streams, and types that are unknown: ignored (RFC 9113, 5.5)
        }
    }

    private void AppendHeaders(ReadOnlySpan<byte> fragment, byte flags)
    {
        if (_headerBlock.WrittenCount + fragment.Length > MaxHeaderBlockBytes)
            throw new Http2Exception($"response headers larger than {MaxHeaderBlockBytes} bytes");
        _headerBlock.Write(fragment);
        _inHeaders = (flags & 0x4) == 0;
        if (_inHeaders)
            return;
        HeaderBlock.Decode(_headerBlock.WrittenSpan, (name, value) => Headers[name] = value);
        _headerBlock.ResetWrittenCount();
        _ended = _endAfterHeaders;
    }

    private void ApplySettings(ReadOnlySpan<byte> payload)
    {
        for (; payload.Length >= 6; payload = payload[6..])
        {
            if (BinaryPrimitives.ReadUInt16BigEndian(payload) != 0x4)
                continue; // only SETTINGS_INITIAL_WINDOW_SIZE concerns us
            var size = BinaryPrimitives.ReadUInt32BigEndian(payload[2..]);
            if (size > int.MaxValue)
                throw new Http2Exception($"a window of {size.ToString(CultureInfo.InvariantCulture)} bytes");
            _streamWindow += size - _peerInitialWindow;
            _peerInitialWindow = size;
        }
    }

    private static ReadOnlySpan<byte> Unpad(ReadOnlySpan<byte> payload, byte flags)
    {
        if ((flags & 0x8) == 0)
            return payload;
        if (payload.IsEmpty || payload[0] >= payload.Length)
            throw new Http2Exception("a frame that is all padding");
        return payload[1..^payload[0]];
    }

    private bool Fill(int needed)
    {
        while (_buffered < needed)
        {
            var read = receive(_frame.AsMemory(_buffered));
            if (read == 0)
            {
                Closed = true;
                return false;
            }
            _buffered += read;
        }
        return true;
    }

    private void SendFrame(FrameType type, byte flags, ReadOnlySpan<byte> payload)
    {
        var frame = new ArrayBufferWriter<byte>(FrameHeaderBytes + 8);
        WriteFrameHeader(frame, payload.Length, type, flags, stream: 0);
        frame.Write(payload);
        send(frame.WrittenMemory);
    }

    private static void WriteFrameHeader(ArrayBufferWriter<byte> output, int length, FrameType type, byte flags, int stream) =>
        output.Write(
            (ReadOnlySpan<byte>)[(byte)(length >> 16), (byte)(length >> 8), (byte)length, (byte)type, flags, 0, 0, 0, (byte)stream]
        );

    private static void WriteSetting(ArrayBufferWriter<byte> output, ushort id, uint value)
    {
        var span = output.GetSpan(6);
        BinaryPrimitives.WriteUInt16BigEndian(span, id);
        BinaryPrimitives.WriteUInt32BigEndian(span[2..], value);
        output.Advance(6);
    }

    private static Http2Exception Short(FrameType type) => new($"a {type} frame that is too short");
}
