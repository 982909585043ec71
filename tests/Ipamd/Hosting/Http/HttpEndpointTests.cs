// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using VpcCni.Ipamd.Hosting.Http;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Hosting.Http;

/// <summary>Tests the listener on real sockets with badly behaved clients.</summary>
public sealed class HttpEndpointTests
{
    private const string Body = "body\n";
    private static readonly HttpPage Page = new("/metrics", "text/plain", output => output.Write(Encoding.UTF8.GetBytes(Body)));

    [Fact]
    public async Task Only_get_and_head_are_served()
    {
        await using var served = await Served.StartAsync();
        Assert.Equal((HttpStatusCode.OK, Body), await served.AskAsync(HttpMethod.Get, "/metrics"));
        Assert.Equal((HttpStatusCode.OK, Body), await served.AskAsync(HttpMethod.Get, "/metrics?any=thing"));
        Assert.Equal((HttpStatusCode.OK, ""), await served.AskAsync(HttpMethod.Head, "/metrics"));
        Assert.Equal(HttpStatusCode.NotFound, (await served.AskAsync(HttpMethod.Get, "/")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await served.AskAsync(HttpMethod.Get, "/metrics/..%2fetc")).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await served.AskAsync(HttpMethod.Post, "/metrics")).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await served.AskAsync(HttpMethod.Delete, "/metrics")).Status);
    }

    [Theory]
    [InlineData("not http at all\r\n\r\n", "400")]
    [InlineData("GET /metrics HTTP/1.1\r\n\r\n", "400")]
    [InlineData("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "")]
    public async Task Malformed_request_is_rejected_and_the_connection_closed(string request, string status)
    {
        await using var served = await Served.StartAsync();
        using var client = served.Connect();
        await client.SendAsync(Encoding.ASCII.GetBytes(request));
        var answer = await ReadToEndAsync(client);
        Assert.True(
            status.Length == 0
                ? !answer.Contains(Body, StringComparison.Ordinal)
                : answer.StartsWith($"HTTP/1.1 {status}", StringComparison.Ordinal),
            answer
        );
        Assert.Equal(HttpStatusCode.OK, (await served.AskAsync(HttpMethod.Get, "/metrics")).Status);
    }

    [Theory]
    [InlineData("GET /{0} HTTP/1.1\r\nHost: x\r\n\r\n", 3_000, "414")]
    [InlineData("GET /metrics HTTP/1.1\r\nHost: x\r\nA: {0}\r\n\r\n", 9_000, "431")]
    public async Task Endless_request_is_rejected_at_the_limit(string request, int length, string status)
    {
        await using var served = await Served.StartAsync();
        using var client = served.Connect();
        await client.SendAsync(Encoding.ASCII.GetBytes(request.Replace("{0}", new string('a', length), StringComparison.Ordinal)));
        Assert.StartsWith($"HTTP/1.1 {status}", await ReadToEndAsync(client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_body_is_rejected()
    {
        await using var served = await Served.StartAsync();
        using var client = served.Connect();
        await client.SendAsync(Encoding.ASCII.GetBytes("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"));
        var answer = await ReadToEndAsync(client);
        Assert.StartsWith("HTTP/1.1 ", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Slow_clients_are_disconnected_and_excess_ones_closed_at_once()
    {
        await using var served = await Served.StartAsync();
        var slow = Enumerable
            .Range(0, HttpEndpoint.MaxConnections)
            .Select(index => served.Connect($"127.0.0.{2 + (index / HttpEndpoint.MaxConnectionsPerClient)}"))
            .ToArray();
        try
        {
            // An answer proves that the connection is counted; Kestrel accepts and counts connections in any order.
            foreach (var client in slow)
                await AskKeepingOpenAsync(client);
            foreach (var client in slow[1..])
                await client.SendAsync("GET /met"u8.ToArray());
            // The next connection is closed without an answer.
            await Eventually.TrueAsync(async () =>
            {
                using var late = served.Connect();
                return (await ReadToEndAsync(late)).Length == 0;
            });
            var ends = await Task.WhenAll(slow.Select(ReadToEndAsync));
            Assert.All(ends[1..], end => Assert.StartsWith("HTTP/1.1 408", end, StringComparison.Ordinal));
            Assert.Empty(ends[0]);
        }
        finally
        {
            foreach (var client in slow)
                client.Dispose();
        }

        await Eventually.TrueAsync(async () => await TryAskAsync(served));
    }

    private static async Task AskKeepingOpenAsync(Socket client)
    {
        await client.SendAsync("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var answer = "";
        var buffer = new byte[4096];
        while (!answer.EndsWith(Body, StringComparison.Ordinal))
        {
            var read = await client.ReceiveAsync(buffer, deadline.Token);
            Assert.NotEqual(0, read);
            answer += Encoding.ASCII.GetString(buffer, 0, read);
        }
    }

    [Fact]
    public async Task Client_with_many_connections_does_not_lock_out_others()
    {
        await using var served = await Served.StartAsync();
        var held = Enumerable.Range(0, HttpEndpoint.MaxConnections).Select(_ => served.Connect("127.0.0.2")).ToArray();
        try
        {
            foreach (var client in held)
                await TrySendAsync(client, "GET /met"u8.ToArray());
            Assert.Equal((HttpStatusCode.OK, Body), await served.AskAsync(HttpMethod.Get, "/metrics"));
            // Excess connections were closed at once; these ones have the usual timeout.
            var ends = await Task.WhenAll(held.Select(ReadToEndAsync));
            Assert.Equal(HttpEndpoint.MaxConnectionsPerClient, ends.Count(end => end.StartsWith("HTTP/1.1 408", StringComparison.Ordinal)));
            using var again = served.Connect("127.0.0.2");
            await again.SendAsync("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray());
            Assert.EndsWith(Body, await ReadToEndAsync(again), StringComparison.Ordinal);
        }
        finally
        {
            foreach (var client in held)
                client.Dispose();
        }
    }

    [Fact]
    public async Task Client_that_requests_without_reading_is_disconnected()
    {
        await using var served = await Served.StartAsync(
            new HttpPage("/metrics", "text/plain", output => output.Write(new byte[256 * 1024]))
        );
        using var client = served.Connect();
        var request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray();
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            while (true)
                await client.SendAsync(request, deadline.Token);
        });
    }

    [Fact]
    public async Task Address_in_use_is_retried_until_it_is_free()
    {
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        other.Listen();
        var time = new ManualTimeProvider();
        await using var served = Served.Begin((IPEndPoint)other.LocalEndPoint!, time);
        await Eventually.TrueAsync(() => time.PendingTimers > 0);
        Assert.Null(served.Endpoint.BoundTo);
        other.Dispose();
        time.Advance(TimeSpan.FromSeconds(1));
        await served.ReadyAsync();
        Assert.Equal(HttpStatusCode.OK, (await served.AskAsync(HttpMethod.Get, "/metrics")).Status);
    }

    [Fact]
    public async Task Stale_unix_socket_is_replaced_and_deleted_at_the_end()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("vpccni-http").FullName, "look.sock");
        using (var crashed = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
            crashed.Bind(new UnixDomainSocketEndPoint(path));
        if (!File.Exists(path))
            await File.WriteAllTextAsync(path, "");
        await using (var served = Served.Begin(new UnixDomainSocketEndPoint(path), TimeProvider.System))
        {
            await served.ReadyAsync();
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await client.ConnectAsync(new UnixDomainSocketEndPoint(path));
            await client.SendAsync("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray());
            Assert.EndsWith(Body, await ReadToEndAsync(client), StringComparison.Ordinal);
        }

        Assert.False(File.Exists(path));
        Directory.Delete(Path.GetDirectoryName(path)!);
    }

    private static async Task<bool> TryAskAsync(Served served)
    {
        try
        {
            return (await served.AskAsync(HttpMethod.Get, "/metrics")).Status == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    /// <summary>Writes to a connection that may be closed.</summary>
    private static async Task TrySendAsync(Socket client, byte[] data)
    {
        try
        {
            await client.SendAsync(data);
        }
        catch (SocketException)
        {
            // The test reads the result afterwards.
        }
    }

    /// <summary>Reads until the server closes the connection; empty if it sends nothing or resets it.</summary>
    private static async Task<string> ReadToEndAsync(Socket client)
    {
        using var deadline = new CancellationTokenSource(Eventually.DefaultDeadline);
        var buffer = new byte[4096];
        var text = new StringBuilder();
        try
        {
            while (await client.ReceiveAsync(buffer, deadline.Token) is > 0 and var read)
                text.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }
        catch (SocketException)
        {
            // Reset; the data before it counts.
        }

        return text.ToString();
    }

    /// <summary>A running endpoint.</summary>
    private sealed class Served : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(20) };
        private readonly Task _running;
        private readonly ConcurrentQueue<Exception> _defects = new();
        private readonly HttpPages _pages;

        private Served(EndPoint endPoint, TimeProvider time, HttpPage page)
        {
            _pages = new HttpPages([page], TimeProvider.System);
            Endpoint = new HttpEndpoint("test", endPoint, HandleAsync, time, NullLoggerFactory.Instance);
            _running = Endpoint.RunAsync(_stop.Token);
        }

        public HttpEndpoint Endpoint { get; }

        private IPEndPoint Address => (IPEndPoint)Endpoint.BoundTo!;

        public static Served Begin(EndPoint endPoint, TimeProvider time) => new(endPoint, time, Page);

        public static async Task<Served> StartAsync(HttpPage? page = null)
        {
            var served = new Served(new IPEndPoint(IPAddress.Loopback, 0), TimeProvider.System, page ?? Page);
            await served.ReadyAsync();
            return served;
        }

        /// <summary>An exception of the handler becomes a 500, and fails the test.</summary>
        private async Task HandleAsync(HttpContext context)
        {
            try
            {
                await _pages.HandleAsync(context);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                _defects.Enqueue(exception);
                throw;
            }
        }

        public Task ReadyAsync() => Eventually.TrueAsync(() => Endpoint.BoundTo is not null);

        public Socket Connect(string from = "127.0.0.1")
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
            socket.Connect(Address);
            return socket;
        }

        public async Task<(HttpStatusCode Status, string Body)> AskAsync(HttpMethod method, string path)
        {
            using var request = new HttpRequestMessage(method, $"http://{Address}{path}");
            using var response = await _http.SendAsync(request);
            return (response.StatusCode, await response.Content.ReadAsStringAsync());
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            Assert.Empty(_defects);
            _http.Dispose();
            _stop.Dispose();
        }
    }
}
