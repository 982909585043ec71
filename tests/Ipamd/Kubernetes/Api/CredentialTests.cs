// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Kubernetes.Api;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes.Api;

/// <summary>Tests which servers receive the token, and which certificates are trusted.</summary>
public sealed class CredentialTests : IDisposable
{
    private const string EmptyList = """{"metadata":{"resourceVersion":"1"},"items":[]}""";

    private readonly string _folder = Directory.CreateTempSubdirectory("k8s").FullName;
    private readonly X509Certificate2 _authority = Authority("ours");

    public CredentialTests() => File.WriteAllText(Path.Combine(_folder, "token"), "first\n");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Replaced_token_is_used_from_the_next_request()
    {
        await using var server = await StartAsync(Issue(_authority, IPAddress.Loopback));
        using var connection = Connect(server, _authority);
        await ListAsync(connection);
        await File.WriteAllTextAsync(Path.Combine(_folder, "token.new"), "second", Token);
        File.Move(Path.Combine(_folder, "token.new"), Path.Combine(_folder, "token"), overwrite: true);
        await ListAsync(connection);
        Assert.Equal(["Bearer first", "Bearer second"], server.Arrivals.Select(arrival => arrival.Authorization));
        Assert.All(server.Arrivals, arrival => Assert.Equal("HTTP/2", arrival.Protocol));
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("a\r\nHost: b")]
    public async Task File_without_a_token_sends_nothing(string content)
    {
        await using var server = await StartAsync(Issue(_authority, IPAddress.Loopback));
        await File.WriteAllTextAsync(Path.Combine(_folder, "token"), content, Token);
        using var connection = Connect(server, _authority);
        Assert.Contains("has no bearer token", (await FailureAsync(connection)).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ClusterException>(() =>
            new KubernetesNodes(connection).WatchAsync("n", "7", TimeSpan.FromMinutes(1), _ => { }, Token)
        );
        Assert.Empty(server.Arrivals);
    }

    [Fact]
    public async Task Server_of_another_authority_receives_no_request()
    {
        using var other = Authority("others");
        await using var server = await StartAsync(Issue(other, IPAddress.Loopback));
        using var connection = Connect(server, _authority);
        Assert.Equal(ClusterErrorKind.Unreachable, (await FailureAsync(connection)).Kind);
        Assert.Empty(server.Arrivals);
    }

    [Fact]
    public async Task Server_of_another_name_receives_no_request()
    {
        await using var server = await StartAsync(Issue(_authority, IPAddress.Parse("192.0.2.1")));
        using var connection = Connect(server, _authority);
        Assert.Equal(ClusterErrorKind.Unreachable, (await FailureAsync(connection)).Kind);
        Assert.Empty(server.Arrivals);
    }

    [Fact]
    public async Task Server_with_an_expired_certificate_receives_no_request()
    {
        await using var server = await StartAsync(Issue(_authority, IPAddress.Loopback, validUntil: DateTimeOffset.UtcNow.AddMinutes(-1)));
        using var connection = Connect(server, _authority);
        Assert.Equal(ClusterErrorKind.Unreachable, (await FailureAsync(connection)).Kind);
        Assert.Empty(server.Arrivals);
    }

    [Fact]
    public async Task Plain_http_request_has_no_token()
    {
        await using var server = await ApiServerStub.StartAsync(context => context.Response.WriteAsync(EmptyList));
        using var connection = Connect(server, _authority);
        await ListAsync(connection);
        Assert.Null(server.Arrivals.Single().Authorization);
    }

    private KubernetesConnection Connect(ApiServerStub server, X509Certificate2 authority)
    {
        File.WriteAllText(Path.Combine(_folder, "ca.crt"), authority.ExportCertificatePem());
        return server.Connection(options => options with { ServiceAccountPath = _folder });
    }

    private static Task<ApiServerStub> StartAsync(X509Certificate2 certificate) =>
        ApiServerStub.StartAsync(context => context.Response.WriteAsync(EmptyList), certificate);

    private static Task<ListedObject<NodeFacts>> ListAsync(KubernetesConnection connection) =>
        new KubernetesNodes(connection).ListAsync("n", "0", Token);

    private static Task<ClusterException> FailureAsync(KubernetesConnection connection) =>
        Assert.ThrowsAsync<ClusterException>(() => ListAsync(connection));

    private static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(
            new X509BasicConstraintsExtension(
                certificateAuthority: true,
                hasPathLengthConstraint: false,
                pathLengthConstraint: 0,
                critical: true
            )
        );
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private static X509Certificate2 Issue(X509Certificate2 authority, IPAddress address, DateTimeOffset? validUntil = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=kube-apiserver", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(address);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(
            authority,
            DateTimeOffset.UtcNow.AddHours(-1),
            validUntil ?? DateTimeOffset.UtcNow.AddHours(1),
            [1, 2, 3, 4]
        );
        using var paired = issued.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(paired.Export(X509ContentType.Pkcs12), null);
    }
}
