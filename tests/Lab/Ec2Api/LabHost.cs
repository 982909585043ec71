// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using VpcCni.Lab.Ec2Api;
using VpcCni.Lab.Imds;
using VpcCni.Lab.Tests.VpcModel;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Tests.Ec2Api;

/// <summary>Serves the EC2 API and the metadata of a small world on a loopback port, with a client that signs requests.</summary>
internal sealed class LabHost : IAsyncDisposable
{
    private readonly WebApplication _application;

    private LabHost(WebApplication application, TestWorld test, CredentialStore credentials)
    {
        _application = application;
        Test = test;
        Credentials = credentials;
        Client = new HttpClient { BaseAddress = new Uri(application.Urls.Single()), Timeout = TimeSpan.FromSeconds(30) };
    }

    public TestWorld Test { get; }
    public CredentialStore Credentials { get; }
    public HttpClient Client { get; }
    public Instance? MetadataFor { get; set; }

    public static async Task<LabHost> StartAsync(Ec2ApiOptions? options = null, TestWorld? world = null)
    {
        var test = world ?? new TestWorld();
        var credentials = new CredentialStore(test.Time, new Random(2));
        LabHost? host = null;
        var ec2 = new Ec2ApiServer(test.World, credentials, test.Time, new Random(3), options ?? new Ec2ApiOptions());
        var imds = new ImdsServer(test.World, credentials, test.Time, new Random(4), _ => host?.MetadataFor?.Id);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var application = builder.Build();
        application.Run(context => context.Request.Path == "/" ? ec2.HandleAsync(context) : imds.HandleAsync(context));
        await application.StartAsync();
        return host = new LabHost(application, test, credentials);
    }

    /// <summary>
    /// Sends a signed request. <paramref name="change"/> tampers with it after it was signed.
    /// </summary>
    public async Task<Response> CallAsync(
        string action,
        string parameters = "",
        LabCredentials? credentials = null,
        Action<HttpRequestMessage>? change = null,
        string region = "us-west-2",
        DateTimeOffset? at = null
    )
    {
        using var request = Sign(
            $"Action={action}&Version={Ec2ApiServer.ApiVersion}{(parameters.Length > 0 ? "&" + parameters : "")}",
            credentials ?? CredentialStore.LongLived,
            region,
            at ?? Test.World.Now
        );
        change?.Invoke(request);
        using var response = await Client.SendAsync(request);
        return new Response(response.StatusCode, XDocument.Parse(await response.Content.ReadAsStringAsync()));
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _application.DisposeAsync();
    }

    /// <summary>
    /// Signs a request. Written from the specification of Signature Version 4, independently of the verifier, so that both do not share
    /// bugs.
    /// </summary>
    private HttpRequestMessage Sign(string body, LabCredentials credentials, string region, DateTimeOffset at)
    {
        var time = at.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'");
        var date = time[..8];
        var host = Client.BaseAddress!.Authority;
        var tokenLine = credentials.SessionToken is { } token ? $"x-amz-security-token:{token}\n" : "";
        var names = "content-type;host;x-amz-date" + (tokenLine.Length > 0 ? ";x-amz-security-token" : "");
        const string ContentType = "application/x-www-form-urlencoded; charset=utf-8";
        var canonical =
            $"POST\n/\n\ncontent-type:{ContentType}\nhost:{host}\nx-amz-date:{time}\n{tokenLine}\n{names}\n"
            + $"{Hex(SHA256.HashData(Encoding.UTF8.GetBytes(body)))}";
        var scope = $"{date}/{region}/ec2/aws4_request";
        var toSign = $"AWS4-HMAC-SHA256\n{time}\n{scope}\n{Hex(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        byte[] key = Encoding.UTF8.GetBytes("AWS4" + credentials.SecretAccessKey);
        foreach (var part in scope.Split('/'))
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        var signature = Hex(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(toSign)));

        var request = new HttpRequestMessage(HttpMethod.Post, "/") { Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", ContentType);
        request.Headers.TryAddWithoutValidation("X-Amz-Date", time);
        if (credentials.SessionToken is not null)
            request.Headers.TryAddWithoutValidation("X-Amz-Security-Token", credentials.SessionToken);
        request.Headers.TryAddWithoutValidation(
            "Authorization",
            $"AWS4-HMAC-SHA256 Credential={credentials.AccessKeyId}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        return request;
    }

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}

/// <summary>A response of the API, whose elements are read by name without namespaces.</summary>
internal sealed record Response(HttpStatusCode Status, XDocument Document)
{
    public string? Code => Text("Code");

    public string Message => Text("Message") ?? "";

    public string? Text(string name) => Document.Descendants().FirstOrDefault(element => element.Name.LocalName == name)?.Value;

    public IReadOnlyList<string> Texts(string name) =>
        [.. Document.Descendants().Where(element => element.Name.LocalName == name).Select(element => element.Value)];
}
