// SPDX-License-Identifier: Apache-2.0
using System.Security.Cryptography.X509Certificates;

namespace k8s;

/// <summary>Certificates out of files.</summary>
public static class CertUtils
{
    /// <summary>All certificates of a PEM file.</summary>
    /// <exception cref="System.Security.Cryptography.CryptographicException">The file cannot be read, or what it holds is not a certificate.</exception>
    public static X509Certificate2Collection LoadPemFileCert(string file)
    {
        var certificates = new X509Certificate2Collection();
        certificates.ImportFromPemFile(file);
        return certificates;
    }
}
