// SPDX-License-Identifier: Apache-2.0
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using VpcCni.Ipamd.Kubernetes;
using VpcCni.Ipamd.Kubernetes.Api;
using VpcCni.Tests.Shared;
using Xunit;

namespace VpcCni.Ipamd.Tests.Kubernetes.Api;

public sealed class KubernetesConnectionTests : IDisposable
{
    /// <summary>A file of sysfs that is write-only, even for root.</summary>
    private const string Unreadable = "/sys/bus/platform/drivers_probe";

    private readonly string _folder = Directory.CreateTempSubdirectory("vpccni-authority-").FullName;

    private string AuthorityFile => Path.Combine(_folder, "ca.crt");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("gone")]
    [InlineData("folder")]
    [InlineData(Unreadable)]
    public async Task Unreadable_authority_file_keeps_the_original_failure(string becomes)
    {
        await File.WriteAllTextAsync(AuthorityFile, Authority(), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(_folder, "token"), "token", TestContext.Current.CancellationToken);
        using var connection = new KubernetesConnection(
            new ClusterOptions
            {
                Endpoint = new Uri("https://127.0.0.1:1"),
                NodeName = "n",
                ServiceAccountPath = _folder,
            },
            "test",
            TimeProvider.System
        );
        var before = await AskAsync(connection);
        File.Delete(AuthorityFile);
        if (becomes == "folder")
            Directory.CreateDirectory(AuthorityFile);
        if (becomes == Unreadable)
        {
            Requirement.Need(File.Exists(Unreadable), Unreadable);
            File.CreateSymbolicLink(AuthorityFile, Unreadable);
        }

        var failure = await AskAsync(connection);
        Assert.Equal((ClusterErrorKind.Unreachable, before.Message), (failure.Kind, failure.Message));
    }

    [Theory]
    [InlineData("")]
    [InlineData("no certificate\n")]
    public async Task Missing_authority_rejects_every_server_until_it_exists(string authority)
    {
        await File.WriteAllTextAsync(AuthorityFile, authority, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(_folder, "token"), "token", TestContext.Current.CancellationToken);
        using var connection = new KubernetesConnection(
            new ClusterOptions
            {
                Endpoint = new Uri("https://127.0.0.1:1"),
                NodeName = "n",
                ServiceAccountPath = _folder,
            },
            "test",
            TimeProvider.System
        );
        Assert.Contains("has no certificate", (await AskAsync(connection)).Message, StringComparison.Ordinal);
        await File.WriteAllTextAsync(AuthorityFile, Authority(), TestContext.Current.CancellationToken);
        Assert.DoesNotContain("has no certificate", (await AskAsync(connection)).Message, StringComparison.Ordinal);
    }

    private static Task<ClusterException> AskAsync(KubernetesConnection connection) =>
        Assert.ThrowsAsync<ClusterException>(() =>
            new KubernetesNodes(connection).ListAsync("n", "0", TestContext.Current.CancellationToken)
        );

    private static string Authority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=test", key, HashAlgorithmName.SHA256).CreateSelfSigned(
            DateTimeOffset.UnixEpoch,
            DateTimeOffset.UnixEpoch.AddYears(100)
        );
        return certificate.ExportCertificatePem();
    }
}
