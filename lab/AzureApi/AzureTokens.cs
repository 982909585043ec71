// SPDX-License-Identifier: Apache-2.0
using VpcCni.Lab.Http;

namespace VpcCni.Lab.AzureApi;

/// <summary>The access tokens of a lab of Azure.</summary>
internal static class AzureTokens
{
    /// <summary>The token of clients outside the nodes.</summary>
    public const string LongLived = "vpc-lab-of-no-secrecy";

    /// <summary>Tokens with the lifetime of a managed identity's, a day; the metadata service renews them in the second half.</summary>
    public static BearerTokens Create(TimeProvider time, Random random) =>
        new(LongLived, "vpclab.", TimeSpan.FromHours(24), TimeSpan.FromHours(12), time, random);
}
