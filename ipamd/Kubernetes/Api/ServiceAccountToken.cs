// SPDX-License-Identifier: Apache-2.0
using System.Net.Http.Headers;
using k8s.Authentication;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>
/// Supplies the bearer token of the service account. Kubelet replaces the file long before the token expires (Kubernetes documentation,
/// "Bound service account tokens"), so it is read for every request. The package's own provider caches a token for a minute of wall-clock
/// time, even after the server rejects it, and sends an empty one.
/// </summary>
/// <param name="file">Path of the projected file.</param>
internal sealed class ServiceAccountToken(string file) : ITokenProvider
{
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file has no token.</exception>
    public async Task<AuthenticationHeaderValue> GetAuthenticationHeaderAsync(CancellationToken cancellationToken)
    {
        var token = (await File.ReadAllTextAsync(file, cancellationToken)).Trim();
        if (token.Length == 0 || token.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new InvalidDataException($"{file} has no bearer token");
        return new AuthenticationHeaderValue("Bearer", token);
    }
}
