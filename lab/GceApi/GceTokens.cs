// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Http;

namespace VpcCni.Lab.GceApi;

/// <summary>The access tokens of a lab of GCE.</summary>
internal static class GceTokens
{
    /// <summary>The token of clients outside the nodes.</summary>
    public const string LongLived = "ya29.vpc-lab-of-no-secrecy";

    /// <summary>Tokens with Google's lifetime of an hour; the metadata server renews them five minutes before their end.</summary>
    public static BearerTokens Create(TimeProvider time, Random random) =>
        new(LongLived, "ya29.", TimeSpan.FromHours(1), TimeSpan.FromMinutes(5), time, random);
}
