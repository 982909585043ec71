// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using k8s;
using k8s.Authentication;
using k8s.Exceptions;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace VpcCni.Standins.Tests.KubernetesClient;

public sealed class CredentialTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("k8s").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Token_that_kubelet_replaces_is_used_from_the_next_request_on()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"));
        var file = Path.Combine(_folder, "token");
        using var client = server.Client(configuration =>
        {
            configuration.TokenProvider = new TokenFileAuth(file);
            return configuration;
        });
        foreach (var token in new[] { "first\n", "second" })
        {
            await File.WriteAllTextAsync(file + ".new", token, Token);
            File.Move(file + ".new", file, overwrite: true);
            await client.CoreV1.ReadNodeAsync("n", cancellationToken: Token);
        }

        Assert.Equal(["Bearer first", "Bearer second"], server.Arrivals.Select(arrival => arrival.Authorization));
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("a\r\nHost: b")]
    public async Task File_without_a_token_sends_nothing(string content)
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"));
        var file = Path.Combine(_folder, "token");
        await File.WriteAllTextAsync(file, content, Token);
        using var client = server.Client(configuration =>
        {
            configuration.TokenProvider = new TokenFileAuth(file);
            return configuration;
        });
        await Assert.ThrowsAsync<InvalidDataException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.Empty(server.Arrivals);
    }

    [Fact]
    public async Task Certificate_of_the_configured_authority_is_trusted_and_no_other()
    {
        using var authority = Authority("ours");
        using var other = Authority("others");
        using var certificate = Issue(authority, IPAddress.Loopback);
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("""{"metadata":{"name":"n"}}"""), certificate);
        using (var client = server.Client(configuration => With(configuration, authority)))
        {
            Assert.Equal("n", (await client.CoreV1.ReadNodeAsync("n", cancellationToken: Token)).Metadata!.Name);
            Assert.Equal("HTTP/2", server.Arrivals.Single().Protocol);
        }

        using var stranger = server.Client(configuration => With(configuration, other));
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => stranger.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.Equal(HttpRequestError.SecureConnectionError, failure.HttpRequestError);
        using var unconfigured = server.Client();
        await Assert.ThrowsAsync<HttpRequestException>(() => unconfigured.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
    }

    [Fact]
    public async Task Certificate_of_another_name_is_refused()
    {
        using var authority = Authority("ours");
        using var certificate = Issue(authority, IPAddress.Parse("192.0.2.1"));
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync("{}"), certificate);
        using var client = server.Client(configuration => With(configuration, authority));
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => client.CoreV1.ReadNodeAsync("n", cancellationToken: Token));
        Assert.Equal(HttpRequestError.SecureConnectionError, failure.HttpRequestError);
        Assert.Empty(server.Arrivals);
    }

    [Fact]
    public void Without_a_service_account_there_is_no_cluster()
    {
        Assert.False(KubernetesClientConfiguration.IsInCluster());
        Assert.Throws<KubeConfigException>(KubernetesClientConfiguration.InClusterConfig);
    }

    private KubernetesClientConfiguration With(KubernetesClientConfiguration configuration, X509Certificate2 authority)
    {
        var file = Path.Combine(_folder, "ca.crt");
        File.WriteAllText(file, authority.ExportCertificatePem());
        configuration.SslCaCerts = CertUtils.LoadPemFileCert(file);
        return configuration;
    }

    private static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private static X509Certificate2 Issue(X509Certificate2 authority, IPAddress address)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=kube-apiserver", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(address);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1), [1, 2, 3, 4]);
        using var paired = issued.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(paired.Export(X509ContentType.Pkcs12), null);
    }
}
