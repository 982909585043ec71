// SPDX-License-Identifier: Apache-2.0
using System.Net.Http.Headers;
using k8s.Authentication;

namespace VpcCni.Ipamd.Kubernetes.Api;

/// <summary>
/// The bearer token of the service account. Kubelet replaces its file long before the token expires (Kubernetes documentation, "Bound
/// service account tokens"), so the file is read for every request. The package's own provider keeps a token for a minute by the wall
/// clock, also one that the server refuses, and sends an empty one.
/// </summary>
/// <param name="file">Path of the projected file.</param>
internal sealed class ServiceAccountToken(string file) : ITokenProvider
{
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file is empty or holds no token.</exception>
    public async Task<AuthenticationHeaderValue> GetAuthenticationHeaderAsync(CancellationToken cancellationToken)
    {
        var token = (await File.ReadAllTextAsync(file, cancellationToken)).Trim();
        if (token.Length == 0 || token.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new InvalidDataException($"{file} holds no bearer token");
        return new AuthenticationHeaderValue("Bearer", token);
    }
}
