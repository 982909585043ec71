// SPDX-License-Identifier: Apache-2.0
using System.Net.Http.Headers;

namespace k8s.Authentication;

/// <summary>Gives the credentials of a request.</summary>
public interface ITokenProvider
{
    Task<AuthenticationHeaderValue> GetAuthenticationHeaderAsync(CancellationToken cancellationToken);
}
