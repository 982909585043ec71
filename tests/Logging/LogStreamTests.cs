// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.IO.Pipes;
using Xunit;

namespace VpcCni.Logging.Tests;

public sealed class LogStreamTests
{
    [Fact]
    public void Unread_pipe_drops_lines_after_one_wait_and_recovers()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        using var reader = new AnonymousPipeClientStream(PipeDirection.In, pipe.ClientSafePipeHandle);
        var stream = new LogStream((int)pipe.SafePipeHandle.DangerousGetHandle());
        var line = new byte[10_000];

        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < 200; i++)
            stream.Write(line);
        Assert.InRange(Stopwatch.GetElapsedTime(started), LogStream.Patience / 2, LogStream.Patience * 5);
        Assert.InRange(stream.Dropped, 100, 200);

        var dropped = stream.Dropped;
        Assert.NotEqual(0, reader.Read(new byte[1_000_000]));
        stream.Write("fresh\n"u8);
        Assert.Equal(dropped, stream.Dropped);
    }
}
