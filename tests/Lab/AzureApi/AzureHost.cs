// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using VpcCni.Lab.AzureApi;
using VpcCni.Lab.AzureImds;
using VpcCni.Lab.Http;
using VpcCni.Lab.Tests.AzureModel;

namespace VpcCni.Lab.Tests.AzureApi;

/// <summary>Serves Azure Resource Manager and the metadata of a small world on a loopback port.</summary>
internal sealed class AzureHost : IAsyncDisposable
{
    public const string Group = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/vpc-lab/providers/";
    public const string Nic = Group + "Microsoft.Network/networkInterfaces/node-1-nic";
    public const string Table = Group + "Microsoft.Network/routeTables/routes";
    public const string Version = "?api-version=2024-05-01";

    private readonly WebApplication _application;

    private AzureHost(WebApplication application, AzureTestWorld test, BearerTokens tokens)
    {
        _application = application;
        Test = test;
        Tokens = tokens;
        Client = new HttpClient { BaseAddress = new Uri(application.Urls.Single()), Timeout = TimeSpan.FromSeconds(30) };
    }

    public AzureTestWorld Test { get; }
    public BearerTokens Tokens { get; }
    public HttpClient Client { get; }
    public string? MetadataFor { get; set; }

    public static async Task<AzureHost> StartAsync()
    {
        var test = new AzureTestWorld { Now = DateTimeOffset.UtcNow };
        var tokens = AzureTokens.Create(TimeProvider.System, new Random(2));
        AzureHost? host = null;
        var api = new ArmServer(test.World, tokens, TimeProvider.System, new ArmOptions());
        var metadata = new AzureImdsServer(test.World, tokens, TimeProvider.System, _ => host?.MetadataFor);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var application = builder.Build();
        application.Run(context =>
            context.Request.Path.StartsWithSegments(AzureImdsServer.PathPrefix, StringComparison.Ordinal)
                ? metadata.HandleAsync(context)
                : api.HandleAsync(context)
        );
        await application.StartAsync();
        return host = new AzureHost(application, test, tokens);
    }

    /// <summary>
    /// Calls the API with the token of clients outside the nodes, or another one; adds the api-version if the path has no query.
    /// </summary>
    public async Task<AzureReply> CallAsync(
        string method,
        string path,
        string? body = null,
        string? token = AzureTokens.LongLived,
        string? ifMatch = null
    )
    {
        using var request = new HttpRequestMessage(
            new HttpMethod(method),
            path.Contains('?', StringComparison.Ordinal) ? path : path + Version
        );
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (ifMatch is not null)
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await Client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return new AzureReply(
            response.StatusCode,
            text.Length == 0 ? [] : JsonNode.Parse(text)!.AsObject(),
            response.Headers.ToDictionary(header => header.Key, header => header.Value.First(), StringComparer.OrdinalIgnoreCase)
        );
    }

    public async Task<(HttpStatusCode Status, string Text)> MetadataAsync(string path, string? flag = "true")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (flag is not null)
            request.Headers.Add("Metadata", flag);
        using var response = await Client.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _application.DisposeAsync();
    }
}

/// <summary>A response of the API.</summary>
internal sealed record AzureReply(HttpStatusCode Status, JsonObject Body, IReadOnlyDictionary<string, string> Headers)
{
    public string? Code => (string?)Body["error"]?["code"];

    public JsonObject Properties => Body["properties"]!.AsObject();

    public IEnumerable<string> Addresses =>
        Properties["ipConfigurations"]!.AsArray().Select(item => (string)item!["properties"]!["privateIPAddress"]!);
}
