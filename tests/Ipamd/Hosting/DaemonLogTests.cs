// SPDX-License-Identifier: Apache-2.0
using System.IO.Pipes;
using System.Net;
using System.Text;
using System.Text.Json;
using Amazon.Runtime.Internal;
using Microsoft.Extensions.Logging;
using VpcCni.Ipamd.Clouds;
using VpcCni.Ipamd.Hosting;
using VpcCni.Ipamd.HostNetwork;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Ledger;
using VpcCni.Logging;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Hosting;

public sealed partial class DaemonLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("daemon-log-").FullName;
    private readonly ManualTimeProvider _time = new();

    private string LogPath => Path.Combine(_folder, "ipamd.log");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Values_become_fields_with_the_names_of_the_plugin()
    {
        var line = Text(logger =>
            Log.Assigned(
                logger,
                new PodReference("default", "web-1"),
                new AttachmentKey("aws-cni", "c1", "eth0"),
                IPAddress.Parse("10.0.0.5"),
                new NetworkInterfaceId("eni-1"),
                isNew: true,
                durationMs: 1.23456
            )
        );

        Assert.Equal(
            "level=info msg=\"address assigned\" pod=default/web-1 network=aws-cni containerId=c1 ifName=eth0 ip=10.0.0.5 eni=eni-1 "
                + "isNew=true durationMs=1.235",
            line
        );
    }

    [Fact]
    public void Values_in_the_message_are_not_repeated() =>
        Assert.Equal("level=warn msg=\"the pool has 3 addresses\" subnet=subnet-1", Text(logger => Log.Inline(logger, 3, "subnet-1")));

    [Fact]
    public void Rejection_by_the_cloud_has_kind_and_request_id_and_no_stack()
    {
        var line = Text(logger =>
            Log.Failed(
                logger,
                Thrown(
                    new CloudException(
                        CloudErrorKind.Throttled,
                        "AssignPrivateIpAddresses",
                        "RequestLimitExceeded",
                        "slow down",
                        "req-1",
                        new IOException("inner")
                    )
                )
            )
        );

        Assert.Equal(
            "level=error msg=failed error=\"AssignPrivateIpAddresses: RequestLimitExceeded: slow down: inner\" kind=Throttled "
                + "requestId=req-1",
            line
        );
    }

    [Fact]
    public void Cause_without_its_own_message_is_left_out()
    {
        var cause = new HttpErrorResponseException(response: null);
        Assert.Contains(nameof(HttpErrorResponseException), cause.Message, StringComparison.Ordinal);
        var refusal = new CloudException(CloudErrorKind.NotPermitted, "CreateTags", "UnauthorizedOperation", "no", "req-1", cause);

        Assert.Equal(
            "level=error msg=failed error=\"CreateTags: UnauthorizedOperation: no\" kind=NotPermitted requestId=req-1",
            Text(logger => Log.Failed(logger, Thrown(refusal)))
        );
    }

    [Fact]
    public void Expected_failure_has_no_stack()
    {
        Exception[] expected =
        [
            new ClusterException(ClusterErrorKind.Unreachable, "list nodes", "no answer"),
            new HostNetworkException("x"),
            new IOException("x"),
            new TimeoutException("x"),
            new UnauthorizedAccessException("x"),
            new HttpRequestException("x"),
            new AggregateException(new IOException("x"), new TimeoutException("y")),
        ];
        Assert.All(
            expected,
            exception => Assert.DoesNotContain("stack=", Text(logger => Log.Failed(logger, Thrown(exception))), StringComparison.Ordinal)
        );
        Assert.Contains(
            "error=\"InvalidOperationException: broken\" stack=\"   at ",
            Text(logger => Log.Failed(logger, Thrown(new InvalidOperationException("broken")))),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Texts_of_others_are_truncated()
    {
        var line = Text(logger =>
            Log.Failed(
                logger,
                Thrown(new CloudException(CloudErrorKind.Unknown, "DescribeSubnets", new string('c', 200_000), new string('m', 2_000_000)))
            )
        );
        Assert.InRange(line.Length, LogLimits.Value, LogLimits.Value + 200);
    }

    [Fact]
    public void Json_is_one_object_per_line()
    {
        using (var log = new DaemonLog(new LogTarget(LogPath, LogFormat.Json, _time), LogFormat.Json, _time))
        using (var factory = log.CreateFactory(LogLevel.Information))
            Log.Inline(factory.CreateLogger("x"), 3, "subnet-1");

        var json = JsonDocument.Parse(Assert.Single(File.ReadAllLines(LogPath))).RootElement;
        Assert.Equal(["time", "level", "msg", "subnet"], json.EnumerateObject().Select(field => field.Name));
    }

    [Fact]
    public void Unwritable_file_is_a_problem_until_it_is_writable()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        using var stdout = new AnonymousPipeClientStream(PipeDirection.In, pipe.ClientSafePipeHandle);
        Directory.CreateDirectory(LogPath);
        using var target = new LogTarget(
            new LogFile(LogPath, 1_000_000, 1),
            new LogStream((int)pipe.SafePipeHandle.DangerousGetHandle()),
            LogFormat.Text,
            _time
        );

        target.Write("one\n"u8);
        target.Write("two\n"u8);
        Assert.Equal(
            $"the log file {LogPath} cannot be written (it is a directory, expected a regular file): lines go to standard output",
            target.Problem
        );
        Directory.Delete(LogPath);
        target.Write("three\n"u8);
        _time.Advance(TimeSpan.FromMinutes(1));
        target.Write("four\n"u8);
        Assert.Null(target.Problem);

        var buffer = new byte[10_000];
        var shown = Encoding.UTF8.GetString(buffer, 0, stdout.Read(buffer)).Split('\n');
        Assert.Contains("the log file cannot be written", shown[0], StringComparison.Ordinal);
        Assert.Equal(["one", "two", "three", ""], shown[1..]);
        Assert.Equal("four", File.ReadAllLines(LogPath)[0]);
        Assert.Contains("can be written again", File.ReadAllLines(LogPath)[1], StringComparison.Ordinal);
    }

    /// <summary>Returns the line without its time.</summary>
    private string Text(Action<ILogger> write)
    {
        File.Delete(LogPath);
        using (var log = new DaemonLog(new LogTarget(LogPath, LogFormat.Text, _time), LogFormat.Text, _time))
        using (var factory = log.CreateFactory(LogLevel.Information))
            write(factory.CreateLogger("x"));
        var line = Assert.Single(File.ReadAllLines(LogPath));
        return line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..];
    }

    private static Exception Thrown(Exception exception)
    {
        try
        {
            throw exception;
        }
        catch (Exception thrown)
        {
            return thrown;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "address assigned")]
        public static partial void Assigned(
            ILogger logger,
            PodReference pod,
            AttachmentKey attachment,
            IPAddress ip,
            NetworkInterfaceId eni,
            bool isNew,
            double durationMs
        );

        [LoggerMessage(2, LogLevel.Warning, "the pool has {Count} addresses")]
        public static partial void Inline(ILogger logger, int count, string subnet);

        [LoggerMessage(3, LogLevel.Error, "failed")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
