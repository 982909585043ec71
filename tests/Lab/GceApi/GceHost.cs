// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using VpcCni.Lab.GceApi;
using VpcCni.Lab.GceMetadata;
using VpcCni.Lab.Http;
using VpcCni.Lab.Tests.GceModel;

namespace VpcCni.Lab.Tests.GceApi;

/// <summary>Serves API and metadata of a small GCE world on a loopback port.</summary>
internal sealed class GceHost : IAsyncDisposable
{
    public const string Instances = "/compute/v1/projects/vpc-lab/zones/us-central1-a/instances";
    public const string Routes = "/compute/v1/projects/vpc-lab/global/routes";

    private readonly WebApplication _application;

    private GceHost(WebApplication application, GceTestWorld test, BearerTokens tokens)
    {
        _application = application;
        Test = test;
        Tokens = tokens;
        Client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false })
        {
            BaseAddress = new Uri(application.Urls.Single()),
            Timeout = TimeSpan.FromSeconds(30),
        };
    }

    public GceTestWorld Test { get; }
    public BearerTokens Tokens { get; }
    public HttpClient Client { get; }
    public string? MetadataFor { get; set; } = "node-1";

    public static async Task<GceHost> StartAsync()
    {
        // The servers use the machine's clock, because requests wait in real time.
        var test = new GceTestWorld { Now = DateTimeOffset.UtcNow };
        var tokens = GceTokens.Create(TimeProvider.System, new Random(2));
        GceHost? host = null;
        var api = new GceApiServer(test.World, tokens, TimeProvider.System, new GceApiOptions());
        var metadata = new GceMetadataServer(
            test.World,
            tokens,
            TimeProvider.System,
            _ => host?.MetadataFor is { } name ? (GceTestWorld.Zone, name) : null
        );
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var application = builder.Build();
        application.Run(context =>
            context.Request.Path.StartsWithSegments(GceApiServer.PathPrefix, StringComparison.Ordinal)
                ? api.HandleAsync(context)
                : metadata.HandleAsync(context)
        );
        await application.StartAsync();
        return host = new GceHost(application, test, tokens);
    }

    /// <summary>Calls the API with the token of clients outside the nodes, or another one.</summary>
    public async Task<GceReply> CallAsync(string method, string path, string? body = null, string? token = GceTokens.LongLived)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await Client.SendAsync(request);
        return new GceReply(response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject());
    }

    /// <summary>Reads metadata with the header that it needs.</summary>
    public async Task<HttpResponseMessage> MetadataAsync(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("Metadata-Flavor", "Google");
        return await Client.SendAsync(request);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _application.DisposeAsync();
    }
}

/// <summary>A response of the API.</summary>
internal sealed record GceReply(HttpStatusCode Status, JsonObject Body)
{
    public string? Reason => (string?)Body["error"]?["errors"]?[0]?["reason"];

    public JsonObject Nic => Body["networkInterfaces"]![0]!.AsObject();

    public string? Text(string field) => (string?)Body[field];
}
