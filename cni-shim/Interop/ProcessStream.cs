// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;
using VpcCni.SystemCalls;

namespace VpcCni.Shim.Interop;

/// <summary>
/// A standard stream by plain read(2) and write(2). Not Console, whose encodings, terminal settings and signal handlers would be most of
/// the start-up time, and not FileStream, which writes to a redirected file at an offset of its own, where whoever shares the file
/// overwrites it.
/// </summary>
/// <param name="patience">
/// Bound on each wait, for a runtime that neither reads nor closes its end: it must not leave one process per pod.
/// </param>
internal sealed class ProcessStream(int fd, TimeSpan patience) : Stream
{
    private readonly SafeFileHandle _handle = new(fd, ownsHandle: false);

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        if (!FileCalls.Wait(fd, FileCalls.POLLIN, (int)patience.TotalMilliseconds))
            throw new IOException($"stdin brought neither data nor its end within {patience.TotalSeconds:0} s");
        return FileCalls.Read(_handle, buffer.AsSpan(offset, count));
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        // A write of at most PIPE_BUF does not block after poll(2): a runtime that reads neither stdout nor stderr must not hold the
        // plugin.
        const int piece = 4096;
        while (buffer.Length > 0)
        {
            if (!FileCalls.Wait(fd, FileCalls.POLLOUT, (int)patience.TotalMilliseconds))
                throw new IOException($"descriptor {fd} was not read within {patience.TotalSeconds:0} s");
            var errno = FileCalls.Write(_handle, buffer[..Math.Min(buffer.Length, piece)], out var written);
            if (errno != 0)
                throw new IOException($"write to descriptor {fd}: errno {errno}");
            buffer = buffer[written..];
        }
    }

    public override void Flush() { }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _handle.Dispose();
        base.Dispose(disposing);
    }
}
