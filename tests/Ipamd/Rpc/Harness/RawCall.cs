// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Grpc.Core;

namespace VpcCni.Tests.GrpcHarness;

/// <summary>Builds a call byte by byte, for requests that the client would never send.</summary>
internal sealed class RawCall
{
    public string Path { get; set; } = "/rpc.CNIBackend/AddNetwork";

    public string? ContentType { get; set; } = "application/grpc";

    public string? Timeout { get; set; }

    public HttpMethod Method { get; set; } = HttpMethod.Post;

    public Version Version { get; set; } = HttpVersion.Version20;

    public List<(string Name, string Value)> Headers { get; } = [];

    public static byte[] Frame(IMessage message) => Frame(message.ToByteArray());

    public static byte[] Frame(byte[] payload, byte flag = 0, int? length = null)
    {
        var frame = new byte[payload.Length + 5];
        frame[0] = flag;
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), length ?? payload.Length);
        payload.CopyTo(frame, 5);
        return frame;
    }

    public static async Task<RawAnswer> PostAsync(TestServer server, byte[] body, Action<RawCall>? configure = null)
    {
        var call = new RawCall();
        configure?.Invoke(call);
        using var request = new HttpRequestMessage(call.Method, new Uri(server.Address, call.Path))
        {
            Version = call.Version,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (call.Method != HttpMethod.Get)
        {
            request.Content = new ByteArrayContent(body);
            if (call.ContentType is not null)
                request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(call.ContentType);
        }

        request.Headers.TryAddWithoutValidation("te", "trailers");
        if (call.Timeout is not null)
            request.Headers.TryAddWithoutValidation("grpc-timeout", call.Timeout);
        foreach (var (name, value) in call.Headers)
            request.Headers.TryAddWithoutValidation(name, value);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        using var response = await server.RawClient().SendAsync(request, deadline.Token);
        var bytes = await response.Content.ReadAsByteArrayAsync(deadline.Token);
        var fields = response
            .Headers.NonValidated.Concat(response.TrailingHeaders.NonValidated)
            .ToDictionary(field => field.Key, field => field.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        return new RawAnswer(response.StatusCode, fields, bytes);
    }
}

/// <summary>An answer with headers and trailers merged, because the status may be in either.</summary>
internal sealed record RawAnswer(HttpStatusCode HttpStatus, IReadOnlyDictionary<string, string> Fields, byte[] Body)
{
    public StatusCode? GrpcStatus => Fields.TryGetValue("grpc-status", out var text) ? (StatusCode)int.Parse(text) : null;

    public string Message => Uri.UnescapeDataString(Fields.GetValueOrDefault("grpc-message", ""));
}
