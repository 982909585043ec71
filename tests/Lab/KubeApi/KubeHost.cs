// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using VpcCni.Lab.KubeApi;
using VpcCni.Lab.KubeApi.Store;

namespace VpcCni.Lab.Tests.KubeApi;

/// <summary>Serves the lab's Kubernetes API on two loopback ports, in plain HTTP and with TLS, with a client for each.</summary>
internal sealed class KubeHost : IAsyncDisposable
{
    private readonly WebApplication _plain;
    private readonly WebApplication _secure;
    private readonly KubeCertificates _certificates;

    private KubeHost(KubeControlPlane plane, WebApplication plain, WebApplication secure, KubeCertificates certificates)
    {
        Plane = plane;
        _plain = plain;
        _secure = secure;
        _certificates = certificates;
        Client = new HttpClient { BaseAddress = new Uri(Url), Timeout = TimeSpan.FromSeconds(30) };
    }

    public KubeControlPlane Plane { get; }
    public KubeStore Store => Plane.Store;
    public HttpClient Client { get; }
    public string Url => _plain.Urls.Single();
    public string SecureUrl => _secure.Urls.Single();

    /// <summary>The content of ca.crt.</summary>
    public string AuthorityPem => _certificates.AuthorityPem;

    public static async Task<KubeHost> StartAsync(TimeProvider? time = null, KubeApiOptions? api = null, KubeStoreOptions? store = null)
    {
        var clock = time ?? TimeProvider.System;
        var plane = new KubeControlPlane(clock, new Random(1), new Random(2), store, api);
        var certificates = new KubeCertificates(TimeProvider.System.GetUtcNow(), IPAddress.Loopback);
        var plain = await ServeAsync(plane.Insecure, certificate: null);
        var secure = await ServeAsync(plane.Secure, certificates.Server);
        return new KubeHost(plane, plain, secure, certificates);
    }

    /// <summary>Creates a client of the TLS port that trusts only the lab's authority.</summary>
    public HttpClient SecureClient(string? token)
    {
        var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            CustomTrustStore = { X509Certificate2.CreateFromPem(AuthorityPem) },
        };
        var client = new HttpClient(handler) { BaseAddress = new Uri(SecureUrl), Timeout = TimeSpan.FromSeconds(30) };
        if (token is not null)
            client.DefaultRequestHeaders.Authorization = new("Bearer", token);
        return client;
    }

    public async Task<KubeReply> SendAsync(
        HttpMethod method,
        string path,
        string? body = null,
        string contentType = "application/json",
        string? accept = null,
        HttpClient? client = null
    )
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = new(contentType) } };
        if (accept is not null)
            request.Headers.TryAddWithoutValidation("Accept", accept);
        using var response = await (client ?? Client).SendAsync(request);
        return new KubeReply(
            response.StatusCode,
            JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject(),
            response.Headers.RetryAfter?.Delta,
            response.Content.Headers.ContentType?.ToString() ?? ""
        );
    }

    public Task<KubeReply> GetAsync(string path, string? accept = null) => SendAsync(HttpMethod.Get, path, accept: accept);

    /// <summary>Opens a watch, whose events the result reads one by one.</summary>
    public async Task<WatchReader> WatchAsync(string pathAndQuery)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Get,
            pathAndQuery + (pathAndQuery.Contains('?', StringComparison.Ordinal) ? "&" : "?") + "watch=true"
        );
        var response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return new WatchReader(response, new StreamReader(await response.Content.ReadAsStreamAsync()));
    }

    public async ValueTask DisposeAsync()
    {
        Plane.Dispose();
        Client.Dispose();
        await _plain.DisposeAsync();
        await _secure.DisposeAsync();
        _certificates.Dispose();
    }

    private static async Task<WebApplication> ServeAsync(Microsoft.AspNetCore.Http.RequestDelegate handler, X509Certificate2? certificate)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder
            .WebHost.UseKestrelCore()
            .ConfigureKestrel(kestrel =>
                kestrel.Listen(
                    IPAddress.Loopback,
                    0,
                    listen =>
                    {
                        if (certificate is not null)
                            listen.UseHttps(new HttpsConnectionAdapterOptions { ServerCertificate = certificate });
                    }
                )
            );
        if (certificate is not null)
            builder.WebHost.UseKestrelHttpsConfiguration();
        var application = builder.Build();
        application.Run(handler);
        await application.StartAsync();
        return application;
    }
}

/// <summary>A response with a JSON body.</summary>
internal sealed record KubeReply(HttpStatusCode Status, JsonObject Body, TimeSpan? RetryAfter, string ContentType)
{
    public string Reason => Body.Text("reason");

    public IReadOnlyList<string> Names => [.. Body.Objects("items").Select(item => item.Text("metadata", "name"))];
}

/// <summary>Reads the events of a watch, each with a deadline.</summary>
internal sealed class WatchReader(HttpResponseMessage response, StreamReader lines) : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(15);

    public HttpStatusCode Status => response.StatusCode;

    /// <summary>The next line, or null at the end.</summary>
    public async Task<string?> LineAsync()
    {
        using var limit = new CancellationTokenSource(Deadline);
        return await lines.ReadLineAsync(limit.Token);
    }

    /// <summary>The next event as <c>TYPE name</c>; null at the end.</summary>
    public async Task<string?> NextAsync() =>
        await EventAsync() is { } next ? $"{next.Text("type")} {next.Text("object", "metadata", "name")}".Trim() : null;

    public async Task<JsonObject?> EventAsync() => await LineAsync() is { } line ? JsonNode.Parse(line)!.AsObject() : null;

    public void Dispose()
    {
        lines.Dispose();
        response.Dispose();
    }
}
