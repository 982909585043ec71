// SPDX-License-Identifier: Apache-2.0
using System.Net.Http.Headers;

namespace k8s.Authentication;

/// <summary>
/// A bearer token out of a file. Kubelet replaces the token of a service account long before it expires (Kubernetes documentation, "Bound service account tokens"), so the file is read for every
/// request: it is a kilobyte in memory, and a copy would have to know when it is out of date.
/// </summary>
/// <param name="tokenFile">Path of the file.</param>
public class TokenFileAuth(string tokenFile) : ITokenProvider
{
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file is empty or holds no token.</exception>
    public async Task<AuthenticationHeaderValue> GetAuthenticationHeaderAsync(CancellationToken cancellationToken)
    {
        var token = (await File.ReadAllTextAsync(tokenFile, cancellationToken)).Trim();
        if (token.Length == 0 || token.AsSpan().ContainsAnyExceptInRange('!', '~')) throw new InvalidDataException($"{tokenFile} holds no bearer token");
        return new AuthenticationHeaderValue("Bearer", token);
    }
}
