// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;

namespace VpcCni.Shim.Interop;

/// <summary>stdin, read without a thread and with a bound on each wait: a runtime that does not close its end must not leave a process behind for every pod.</summary>
internal sealed class ProcessInput(int fd, TimeSpan patience) : Stream
{
    private readonly SafeFileHandle _handle = new(fd, ownsHandle: false);

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count)
    {
        if (!Libc.WaitReadable(fd, (int)patience.TotalMilliseconds)) throw new IOException($"stdin brought neither data nor its end within {patience.TotalSeconds:0} s");
        return Libc.Read(_handle, buffer.AsSpan(offset, count));
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) _handle.Dispose();
        base.Dispose(disposing);
    }
}
