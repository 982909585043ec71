// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace VpcCni.Lab.KubeApi;

/// <summary>
/// The lab's certificate authority, whose certificate is in ca.crt of a pod, and the API server's certificate, which it signed.
/// </summary>
internal sealed class KubeCertificates : IDisposable
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    /// <summary>How long before now certificates become valid, because clocks differ.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromHours(1);

    private readonly X509Certificate2 _authority;

    /// <summary>Creates both certificates, valid for 30 days.</summary>
    /// <param name="now">The current time.</param>
    /// <param name="addresses">Addresses at which clients reach the server.</param>
    public KubeCertificates(DateTimeOffset now, params IReadOnlyList<IPAddress> addresses)
    {
        using var authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var authority = new CertificateRequest("CN=vpc-lab", authorityKey, HashAlgorithmName.SHA256);
        authority.CertificateExtensions.Add(
            new X509BasicConstraintsExtension(
                certificateAuthority: true,
                hasPathLengthConstraint: false,
                pathLengthConstraint: 0,
                critical: true
            )
        );
        authority.CertificateExtensions.Add(
            new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.DigitalSignature, critical: true)
        );
        authority.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(authority.PublicKey, critical: false));
        _authority = authority.CreateSelfSigned(now - ClockSkew, now + Lifetime);

        using var serverKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var server = new CertificateRequest("CN=kube-apiserver", serverKey, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        foreach (var name in (ReadOnlySpan<string>)["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"])
            names.AddDnsName(name);
        foreach (var address in addresses)
            names.AddIpAddress(address);
        server.CertificateExtensions.Add(names.Build());
        server.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        server.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false)); // serverAuth
        server.CertificateExtensions.Add(
            X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_authority, includeKeyIdentifier: true, includeIssuerAndSerial: false)
        );
        using var signed = server.Create(_authority, now - ClockSkew, now + Lifetime, RandomNumberGenerator.GetBytes(16));
        Server = signed.CopyWithPrivateKey(serverKey);
    }

    /// <summary>The server's certificate with its private key.</summary>
    public X509Certificate2 Server { get; }

    /// <summary>The authority's certificate, PEM: the content of ca.crt.</summary>
    public string AuthorityPem => _authority.ExportCertificatePem();

    public void Dispose()
    {
        Server.Dispose();
        _authority.Dispose();
    }
}
