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
    /// <summary>Write-only, and sysfs holds root to it.</summary>
    private const string Unreadable = "/sys/bus/platform/drivers_probe";

    private readonly string _folder = Directory.CreateTempSubdirectory("vpccni-authority-").FullName;

    private string AuthorityFile => Path.Combine(_folder, "ca.crt");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("gone")]
    [InlineData("folder")]
    [InlineData(Unreadable)]
    public async Task Authority_that_cannot_be_read_for_a_while_leaves_the_failure_what_it_was(string becomes)
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
    public async Task Without_an_authority_nobody_is_trusted_until_there_is_one(string authority)
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
        Assert.Contains("holds no certificate", (await AskAsync(connection)).Message, StringComparison.Ordinal);
        await File.WriteAllTextAsync(AuthorityFile, Authority(), TestContext.Current.CancellationToken);
        Assert.DoesNotContain("holds no certificate", (await AskAsync(connection)).Message, StringComparison.Ordinal);
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
